/**
 * Cold starts from heap snapshots through the whole server: the same answers, whatever happens to the snapshot, and the log says
 * what was used.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Manifest } from '#contracts/manifest.ts'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { builtWorkers, startTestServer, type TestServer } from '../support/server.ts'
import { blobFiles, loadsOf, scaledToZero } from '../support/snapshots.ts'

const name = 'intent'
const folder = fileURLToPath(new URL('../../models/intent/', import.meta.url))
const idleMs = 200
const texts = ['where is my card', 'what is the exchange rate', 'x']

let server: TestServer
let model: { server: TestServer; name: string }
/** Names of the version's own blobs. */
let modelFiles: readonly string[]
let answer: string

beforeAll(async () => {
  server = await startTestServer({ idleMs })
  model = { server, name }
  const { status, json } = await importFolder(server, folder, name)
  expect(status).toBe(200)
  modelFiles = await filesOf(json.manifest)
  await createEndpoint(server, name, name)
  answer = await query()
  await untilLoadSays('from its snapshot')
})
afterAll(() => server.stop())

async function query(): Promise<string> {
  const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: texts })
  expect(reply.status, reply.text).toBe(200)
  return JSON.stringify(reply.json.predictions)
}

/** One cold start; resolves to what the log says of it. */
async function coldStart(): Promise<string> {
  await scaledToZero(model)
  expect(await query()).toBe(answer)
  return (await loadsOf(model)).at(-1)!
}

/** A snapshot is built behind the scenes once nobody has asked for anything for a second. */
async function untilLoadSays(what: string): Promise<void> {
  await vi.waitFor(async () => expect(await coldStart()).toContain(what), { timeout: 20_000, interval: 1_600 })
}

/** The digests of a version's own blobs. */
async function filesOf(manifest: string): Promise<string[]> {
  const path = (digest: string) => digest.replace('sha256:', '')
  const file = (await blobFiles(server.home)).find((candidate) => candidate.endsWith(path(manifest)))!
  const { artifacts } = JSON.parse(await readFile(file, 'utf8')) as Manifest
  return [manifest, ...artifacts.flatMap(({ shards }) => shards!.map(({ digest }) => digest))].map(path)
}

/** What is on disk beside the files of the model. */
async function snapshotFiles(): Promise<string[]> {
  return (await blobFiles(server.home)).filter((file) => !modelFiles.some((name) => file.endsWith(name)))
}

describe('a cold start', () => {
  it('comes from the snapshot, with the same answer every time', async () => {
    for (let round = 0; round < 3; round++) expect(await coldStart()).toBe('from its snapshot')
  })

  it('goes without the snapshot when a byte of it changed, and has a new one later', async () => {
    const files = await snapshotFiles()
    expect(files.length).toBeGreaterThan(3)
    const victim = files[Math.floor(files.length / 2)]!
    const bytes = await readFile(victim)
    bytes[bytes.byteLength >> 1]! ^= 1
    await writeFile(victim, bytes)
    expect(await coldStart()).toContain('its snapshot was not used: ')
    await untilLoadSays('from its snapshot')
  })

  it('goes without the snapshot when a part of it is gone, and has a new one later', async () => {
    await rm((await snapshotFiles())[0]!)
    expect(await coldStart()).toContain('its snapshot was not used: ')
    await untilLoadSays('from its snapshot')
  })

  it('does not use the snapshot of another build of the engine', async () => {
    const workers = await builtWorkers()
    workers.host.modules['ort-digest.js.txt'] = { type: 'text', contents: 'another build' }
    const { home } = server
    const other = await startTestServer({ idleMs, home: `${home}-copy`, workers })
    try {
      await importFolder(other, folder, name)
      await createEndpoint(other, name, name)
      const keys = async (at: string) => new Set((await blobFiles(at)).map((file) => file.slice(at.length)))
      await vi.waitFor(
        async () => expect((await keys(other.home)).size).toBeGreaterThanOrEqual((await keys(home)).size),
        {
          timeout: 20_000,
          interval: 100,
        },
      )
      // The same heap under another name: no file of one is a file of the other.
      const own = (await snapshotFiles()).map((file) => file.slice(home.length))
      const others = await keys(other.home)
      expect(own.filter((file) => others.has(file))).toEqual([])
    } finally {
      await other.stop()
      await rm(`${home}-copy`, { recursive: true, force: true })
    }
  })
})

describe('snapshots in the model cache', () => {
  it('go with the version that they belong to', async () => {
    const gc = () => server.send('POST', '/api/2.0/glim/models/gc', {})
    const before = (await snapshotFiles()).length
    expect(before).toBeGreaterThan(0)
    await gc()
    expect((await snapshotFiles()).length).toBe(before)

    await scaledToZero(model)
    expect((await server.send('DELETE', `/api/2.0/serving-endpoints/${name}`)).status).toBe(200)
    const removed = await server.send('DELETE', `/api/2.0/glim/models/${name}/versions/1`)
    expect(removed.status, removed.text).toBe(200)
    const { json } = await gc()
    expect(json.deleted).toBeGreaterThanOrEqual(before)
    expect(await snapshotFiles()).toEqual([])
  })
})

describe('a language model', () => {
  it('writes from its snapshot what it wrote when it was loaded, the likeliest text and a drawn one', async () => {
    const story = { server, name: 'story' }
    const imported = await importFolder(server, fileURLToPath(new URL('../../models/story/', import.meta.url)), 'story')
    expect(imported.status, imported.text).toBe(200)
    await createEndpoint(server, 'story', 'story')
    const texts = () =>
      Promise.all(
        [{ temperature: 0 }, { temperature: 1, seed: 7 }].map(async (sampling) => {
          const body = { model: 'story', prompt: 'The old king had', max_tokens: 40, ...sampling }
          const { status, text, json } = await server.send('POST', '/v1/completions', body)
          expect(status, text).toBe(200)
          return json.choices[0].text as string
        }),
      )
    const loaded = await texts()
    expect(loaded[0]).not.toBe(loaded[1])
    await vi.waitFor(
      async () => {
        await scaledToZero(story)
        expect(await texts()).toEqual(loaded)
        expect((await loadsOf(story)).at(-1)).toBe('from its snapshot')
      },
      { timeout: 20_000, interval: 1_600 },
    )
    expect((await loadsOf(story))[0]).not.toBe('from its snapshot')
  })
})
