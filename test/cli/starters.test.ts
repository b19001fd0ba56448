import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { alreadyExists, internal } from '#contracts/errors.ts'
import { installStarters, starterFolders } from '#src/cli/dev/starters.ts'
import type { GlimClient } from '#src/client/client.ts'
import { recordingTerminal } from './recording-terminal.ts'

let models: string
beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'glim-starters-'))
  const paths = [
    'one/README.md',
    'one/onnx/model.onnx',
    'two/README.md',
    'two/model.onnx',
    'lib/README.md',
    'lib/a.py',
    'draft/onnx/model.onnx',
    'evaluate.mjs',
  ]
  for (const path of paths) {
    await mkdir(dirname(join(models, path)), { recursive: true })
    const isCard = path.endsWith('README.md') && !path.startsWith('lib/')
    await writeFile(join(models, path), isCard ? '---\npipeline_tag: text-classification\n---\n' : path)
  }
})
afterAll(() => rm(models, { recursive: true }))

/** The part of a registry that starters touch; `failOn` makes one step of one starter fail. */
function registry() {
  const state = {
    starters: null as readonly string[] | null,
    imported: [] as string[],
    endpoints: new Set<string>(),
    failOn: '',
  }
  const fail = (step: string) => {
    if (state.failOn === step) throw internal(`${step} failed`)
  }
  const client: Partial<GlimClient> = {
    starters: async () => state.starters,
    setStarters: async (names) => {
      state.starters = names
      return {}
    },
    missingBlobs: async () => [],
    async importModel({ name, version }) {
      fail(`import ${name}`)
      state.imported.push(`${name}/${version}`)
      return {} as never
    },
    async createEndpoint(name) {
      fail(`create ${name}`)
      if (state.endpoints.has(name)) throw alreadyExists(`Endpoint with name '${name}' already exists.`)
      state.endpoints.add(name)
      return {} as never
    },
    getEndpoint: async (name) => ({ name, state: { ready: 'READY', config_update: 'NOT_UPDATING' } }) as never,
  }
  return { state, client: client as GlimClient }
}

async function install({ client }: ReturnType<typeof registry>): Promise<string[]> {
  const terminal = recordingTerminal()
  await installStarters({ client, models, terminal })
  return terminal.noted
}

describe('starters', () => {
  it('are the folders with a card and a graph', async () => {
    expect(await starterFolders(models)).toEqual(['one', 'two'])
    expect(await starterFolders(join(models, 'nowhere'))).toEqual([])
  })

  it('are installed as version 1 with an endpoint each, and remembered', async () => {
    const server = registry()
    expect(await install(server)).toEqual([])
    expect(server.state).toMatchObject({
      starters: ['one', 'two'],
      imported: ['one/1', 'two/1'],
      endpoints: new Set(['one', 'two']),
    })
  })

  it('that were deleted stay away, and new ones are added', async () => {
    const server = registry()
    server.state.starters = ['one', 'former']
    await install(server)
    expect(server.state).toMatchObject({ starters: ['one', 'former', 'two'], endpoints: new Set(['two']) })
  })

  it('are finished by the next start where the first died half-way', async () => {
    const server = registry()
    server.state.endpoints.add('one')
    await install(server)
    expect(server.state).toMatchObject({ starters: ['one', 'two'], endpoints: new Set(['one', 'two']) })
  })

  it('that fail leave the others and are tried again', async () => {
    const server = registry()
    server.state.failOn = 'create one'
    expect(await install(server)).toEqual(['The starter one is not installed: create one failed'])
    expect(server.state.starters).toEqual(['two'])
    server.state.failOn = ''
    expect(await install(server)).toEqual([])
    expect(server.state.starters).toEqual(['two', 'one'])
  })

  it('whose name another model has stay away for good', async () => {
    const server = registry()
    server.client.importModel = async ({ name }) => {
      throw alreadyExists(`Model ${name} already has a version 1 with other content, and versions never change.`)
    }
    expect(await install(server)).toEqual(
      ['one', 'two'].map((name) => `There is another model ${name}, so the starter of that name stays away.`),
    )
    expect(server.state).toMatchObject({ starters: ['one', 'two'], endpoints: new Set() })
  })
})
