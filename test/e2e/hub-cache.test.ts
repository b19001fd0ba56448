/**
 * Weights of a hub model through the whole server: fetched on first use, once for everybody, verified on every read, healed from
 * the hub, bounded on disk. The model is the `language` starter, served by a hub of the test's own.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, digestOf, importFiles, uploaded, waitForUpdate } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { type Reply, startTestServer, type TestServer } from '../support/server.ts'
import { folderRepository, startTestHub, type TestHub } from '../support/test-hub.ts'

const folder = fileURLToPath(new URL('../../models/language/', import.meta.url))
const graph = 'onnx/model_quantized.onnx'
const sizeBytes = statSync(join(folder, graph)).size
const shardBytes = 1024 * 1024
const small = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
const question = { inputs: ['Wo finde ich meine neue Karte, bitte?'] }

let hub: TestHub
beforeAll(async () => {
  const files = await folderRepository(folder)
  hub = await startTestHub({ 'test/language': files, 'test/other': files })
})
afterAll(() => hub.stop())

/** Registers the model with a graph that is still at the hub. */
async function register(
  server: TestServer,
  name: string,
  repository = 'test/language',
  digest?: string,
): Promise<Reply> {
  const companions = await Promise.all(
    small.map((path) => uploaded(server, { path, bytes: readFileSync(join(folder, path)) })),
  )
  const origin = { repository, revision: hub.commit, path: graph }
  const remote = { path: graph, sizeBytes, origin, ...(digest ? { digest } : {}) }
  return server.send('POST', '/api/2.0/glim/models/import', {
    name,
    manifest: { version: 1, artifacts: [remote, ...companions] },
  })
}

const read = () => hub.files.get(graph) ?? { requests: 0, bytes: 0 }
const stored = async (server: TestServer, name: string) =>
  (await server.send('GET', `/api/2.0/glim/models/${name}/versions/1`)).json.stored_bytes as number

describe('a model of a hub', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ hub: { url: hub.url } })
  })
  afterAll(() => server.stop())

  it('is registered without a byte of its weights', async () => {
    const registered = await register(server, 'language')
    expect(registered.status, registered.text).toBe(200)
    expect(registered.json.task).toBe('text-classification')
    expect(read().requests).toBe(0)
    expect(await stored(server, 'language')).toBeLessThan(sizeBytes)
  })

  it('is read once from its origin when 50 isolates start cold at once', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `cold-${index}`)
    const config = { served_entities: [{ entity_name: 'language', entity_version: '1' }] }
    await Promise.all(names.map((name) => server.send('POST', '/api/2.0/serving-endpoints', { name, config })))
    for (const name of names) expect((await waitForUpdate(server, name)).json.state.ready).toBe('READY')
    expect(read()).toEqual({ requests: 1, bytes: sizeBytes })
    expect(await stored(server, 'language')).toBeGreaterThanOrEqual(sizeBytes)
  }, 120_000)

  it('heals a lost and a corrupt shard from its origin, and reads nothing else there', async () => {
    const weights = readFileSync(join(folder, graph))
    const shards = [0, 1].map((at) => digestOf(weights.subarray(at * shardBytes, (at + 1) * shardBytes)))
    const large = blobFiles(server.home).filter((path) => statSync(path).size > 600_000)
    const [lost, corrupt] = shards.map((digest) => large.find((path) => digest.endsWith(basename(path)))) as [
      string,
      string,
    ]
    // The heap snapshot would spare the reading of any weights.
    for (const path of large) if (path !== lost && path !== corrupt) rmSync(path)
    const moved = statSync(lost).size + statSync(corrupt).size
    rmSync(lost)
    const bytes = readFileSync(corrupt)
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(corrupt, bytes)
    const before = read().bytes
    await createEndpoint(server, 'healed', 'language')
    const reply = await server.send('POST', '/serving-endpoints/healed/invocations', question)
    expect(reply.json?.predictions[0][0].label, reply.text).toBe('de')
    expect(read().bytes - before).toBe(moved)
    expect(statSync(lost).size + statSync(corrupt).size).toBe(moved)
  })

  it('is refused by name when its origin has other bytes, and nothing of it is kept', async () => {
    hub.faults.wrongByteAt = 1_000_000
    await register(server, 'lied-to', 'test/other', `sha256:${'0'.repeat(64)}`)
    const failed = await createEndpoint(server, 'lied-to', 'lied-to')
    expect(failed.json.state).toEqual({ ready: 'NOT_READY', config_update: 'UPDATE_FAILED' })
    expect(failed.text).toMatch(/model_quantized\.onnx is sha256:[0-9a-f]{64}, not sha256:0000/)
    hub.faults = {}
  })

  it('comes when the hub breaks off and limits on the way', async () => {
    hub.faults = { cut: { afterBytes: 1_200_000, times: 1 }, refuse: { status: 429, times: 1, retryAfter: '1' } }
    await register(server, 'patient', 'test/other')
    const ready = await createEndpoint(server, 'patient', 'patient')
    expect(ready.json.state.ready, ready.text).toBe('READY')
    hub.faults = {}
  })
})

describe('the cache on disk', () => {
  it('evicts what the hub has too and what is not mounted, and never the only copy', async () => {
    const server = await startTestServer({ hub: { url: hub.url }, cacheBytes: sizeBytes + 1_500_000, idleMs: 300 })
    try {
      await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(3) }], 'only-copy')
      for (const [name, repository] of [
        ['first', 'test/language'],
        ['second', 'test/other'],
      ] as const) {
        await register(server, name, repository)
        await createEndpoint(server, name, name)
        await idle(server, name)
        await server.send('DELETE', `/api/2.0/serving-endpoints/${name}`)
      }
      expect((await put(server, 1)).status).toBe(200)
      expect((await put(server, 2)).status).toBe(200)
      expect(await stored(server, 'first')).toBeLessThan(sizeBytes)

      const refused = await firstRefused(server)
      expect(refused.status).toBe(507)
      expect(refused.json.message).toMatch(/holds \d+ of \d+ bytes; 900000 more do not fit/)
      await createEndpoint(server, 'kept', 'only-copy')
      const reply = await server.send('POST', '/serving-endpoints/kept/invocations', { inputs: [[1, 2]] })
      expect(reply.json.predictions.y).toEqual([[3, 6]])
    } finally {
      await server.stop()
    }
  }, 120_000)
})

/** Uploads a blob that the hub does not have. */
function put(server: TestServer, content: number): Promise<Reply> {
  const bytes = new Uint8Array(900_000).fill(content)
  return server.send('PUT', `/api/2.0/glim/blobs/${digestOf(bytes)}`, bytes)
}

async function firstRefused(server: TestServer): Promise<Reply> {
  for (let content = 3; ; content++) {
    const reply = await put(server, content)
    if (reply.status !== 200) return reply
  }
}

async function idle(server: TestServer, name: string): Promise<void> {
  for (;;) {
    const { text } = await waitForUpdate(server, name)
    if (text.includes('Scaled to zero')) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function blobFiles(home: string): string[] {
  return readdirSync(join(home, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
