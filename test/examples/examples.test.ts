/** The starters as a first start installs them: each example finds there what it needs, and the next start leaves alone what was deleted. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { starterFolders } from '#src/cli/dev/starters.ts'
import { endPrograms, type Program, repository, startProgram } from '../cli/child.ts'

const run = promisify(execFile)

/** What the example's output says, by its folder. */
const says: Readonly<Record<string, RegExp>> = {
  'route-tickets': /card safety .*lost_or_stolen_card.*I can't find my card/,
  'drawn-digit': /^7 +█/m,
  'semantic-search': /how do I keep bread fresh\n +0\.\d\d +bread\.txt/,
  'sort-mail': /German: 2\n/,
  'tell-a-story': /^Once upon a time there was a fox who lived under an old tree.{100,}/s,
}

let home: string
let server: Program
let env: Record<'GLIM_HOST' | 'GLIM_PORT' | 'GLIM_TOKEN', string>

async function start(): Promise<void> {
  server = startProgram(['src/cli/glim.mjs', 'dev', '--port', '0', '--home', home])
  const [, port = ''] = await server.find(/^glim ready on http:\/\/127\.0\.0\.1:([0-9]+)$/m)
  const token = (await readFile(join(home, 'token'), 'utf8')).trim()
  env = { GLIM_HOST: '127.0.0.1', GLIM_PORT: port, GLIM_TOKEN: token }
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'glim-starters-'))
  await start()
})
afterAll(async () => {
  endPrograms()
  await rm(home, { recursive: true, force: true })
})

describe('the examples', () => {
  it('are all checked here', () => {
    const entries = readdirSync(join(repository, 'examples'), { withFileTypes: true })
    const folders = entries.filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(says).sort())
  })

  it.each(Object.keys(says))('%s says what it promises', async (name) => {
    const example = join(repository, 'examples', name, 'run.mjs')
    const { stdout } = await run(process.execPath, [example], { env: { ...process.env, ...env } })
    expect(stdout).toMatch(says[name]!)
  })
})

describe('the starters', () => {
  it('answer once the server is ready, and one that was deleted stays away', async () => {
    const starters = await starterFolders(join(repository, 'models'))
    expect(server.output()).toContain(`endpoints: ${starters.join(', ')}\n`)
    expect((await fetch(`http://127.0.0.1:${env.GLIM_PORT}/health`)).status).toBe(200)

    const [first, ...rest] = starters as [string, ...string[]]
    const deleted = startProgram(['src/cli/glim.mjs', 'endpoints', 'delete', first], env)
    expect(await deleted.ended, deleted.output()).toBe(0)
    server.signalGroup('SIGINT')
    await server.ended
    await start()
    expect(server.output()).toContain(`endpoints: ${rest.join(', ')}\n`)
    server.signalGroup('SIGINT')
    expect(await server.ended).toBe(0)
  })
})
