/**
 * Damaged models and damaged requests through the whole server: each request gets a JSON reply with a status, whatever dies is
 * replaced, and the next request, to the same endpoint and to another, is answered.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { greyPng } from '../support/grey-png.ts'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { Chance, mutatedBytes, mutatedJson } from '../support/mutations.ts'
import { classifierFiles, embedderFiles, type ModelFile, scaleModel } from '../support/onnx-model.ts'
import { type Reply, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath } from '../support/shared-models.ts'
import { workerdPid } from '../support/workerd-pid.ts'

const digits = fileURLToPath(new URL('../../models/digits/', import.meta.url))
const json = { 'content-type': 'application/json' }

let server: TestServer
let pid: number
beforeAll(async () => {
  server = await startTestServer({ runMs: 2_000 })
  pid = workerdPid()
  await serve('scale', [{ path: 'model.onnx', bytes: scaleModel(3) }])
  await serve('embed', embedderFiles())
  await serve('classify', classifierFiles())
  if (haveSharedModels) {
    await importFolder(server, sharedModelPath('stories260k', '.'), 'story')
    await createEndpoint(server, 'story', 'story')
  }
})
afterAll(() => server?.stop())

async function serve(name: string, files: readonly ModelFile[]): Promise<void> {
  const imported = await importFiles(server, files, name)
  expect(imported.status, imported.text).toBe(200)
  await createEndpoint(server, name, name)
}

/** A reply of JSON, or of events for those that stream. */
function expectAnswer(reply: Reply, what: string): void {
  expect(reply.status, `${what}: ${reply.text}`).toSatisfy((status: number) => status >= 200 && status < 600)
  const type = reply.headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream')) return
  expect(type, `${what}: ${reply.text}`).toMatch(/^application\/json/)
  expect(reply.json, `${what}: ${reply.text}`).toBeDefined()
}

async function expectGood(what: string): Promise<void> {
  const reply = await server.send('POST', '/serving-endpoints/scale/invocations', { inputs: [[1, 2]] })
  expect(reply.text, what).toBe('{"predictions":{"y":[[3,6]]}}')
  expect(workerdPid(), what).toBe(pid)
}

const folderFiles = (folder: string): ModelFile[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(onnx|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: path.slice(folder.length), bytes: new Uint8Array(readFileSync(path)) }))

describe('damaged models', () => {
  const picture = greyPng(Buffer.alloc(28 * 28), 28, 28).toString('base64')
  /** With seeds that do each kind of damage, and after which some can be imported and some cannot. */
  const originals: readonly (readonly [ModelFile[], string, unknown, readonly number[]])[] = [
    [folderFiles(digits), 'onnx/model_quantized.onnx', picture, [0, 1, 2, 3, 6, 9]],
    [folderFiles(digits), 'preprocessor_config.json', picture, [100, 101, 103]],
    [embedderFiles(), 'model.onnx', 'hello cat', [202, 204, 211]],
    [embedderFiles(), 'tokenizer.json', 'hello cat', [300, 302, 303, 307]],
    [classifierFiles(), 'config.json', 'hello cat', [400, 406, 411]],
  ]

  it.each(originals)('are imported or refused in words (%#)', async (files, damagedPath, question, seeds) => {
    for (const seed of seeds) {
      const chance = new Chance(seed)
      const damaged = files.map(({ path, bytes }) => {
        if (path !== damagedPath) return { path, bytes }
        if (!path.endsWith('.json')) return { path, bytes: mutatedBytes(bytes, chance) }
        const text = mutatedJson(JSON.parse(new TextDecoder().decode(bytes)), chance)
        return { path, bytes: new TextEncoder().encode(text) }
      })
      const name = `damaged-${seed}`
      const imported = await importFiles(server, damaged, name)
      expectAnswer(imported, name)
      expect(imported.status, imported.text).toBeLessThan(500)
      if (imported.status === 200) {
        const created = await createEndpoint(server, name, name)
        expectAnswer(created, name)
        const asked = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: [question] })
        expectAnswer(asked, name)
      }
      await expectGood(name)
    }
  })
})

interface Route {
  path: string
  body: unknown
}

const messages = [{ role: 'user', content: 'Once upon a time' }]
const tensor = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }
const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
const routes: readonly Route[] = [
  { path: '/serving-endpoints/scale/invocations', body: { inputs: [[1, 2]] } },
  { path: '/serving-endpoints/scale/invocations', body: { dataframe_split: { columns: ['x'], data: [[[1, 2]]] } } },
  {
    path: '/serving-endpoints/embed/invocations',
    body: { dataframe_records: [{ text: 'cat' }] },
  },
  { path: '/serving-endpoints/classify/invocations', body: { inputs: ['good cat'], params: { top_k: 1 } } },
  { path: '/v2/models/scale/infer', body: { id: '1', inputs: [tensor], outputs: [{ name: 'y' }], parameters: {} } },
  { path: '/v1/embeddings', body: { model: 'embed', input: ['cat', 'dog'], encoding_format: 'float' } },
  { path: '/v1/chat/completions', body: { model: 'story', messages, max_tokens: 3, temperature: 0.5, stop: ['.'] } },
  { path: '/v1/chat/completions', body: { model: 'story', messages, max_tokens: 3, stream: true, logprobs: true } },
  { path: '/v1/completions', body: { model: 'story', prompt: 'Once', max_tokens: 3, n: 2, seed: 1 } },
  {
    path: '/v1/chat/completions',
    body: {
      model: 'story',
      messages,
      max_tokens: 12,
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    },
  },
  { path: '/v1/responses', body: { model: 'story', input: 'Once', max_output_tokens: 3 } },
  { path: '/v1/messages', body: { model: 'story', messages, max_tokens: 3, system: 'Be brief.' } },
]

const served = routes.filter(({ body }) => haveSharedModels || (body as { model?: string }).model !== 'story')

describe.each(served)('damaged requests to $path', ({ path, body }) => {
  it(`are answered or refused in words: ${JSON.stringify(body).slice(0, 60)}`, async () => {
    const fine = await server.send('POST', path, body)
    expect(fine.status, fine.text).toBe(200)
    for (let seed = 0; seed < 25; seed++) {
      const sent = mutatedJson(body, new Chance(seed))
      const reply = await server.send('POST', path, sent, { headers: json, signal: AbortSignal.timeout(20_000) })
      expectAnswer(reply, `${path} ${sent.slice(0, 300)}`)
      // 501 and 503 are said in words; 500 is a fault of ours.
      expect(reply.status, `${sent.slice(0, 300)} → ${reply.text}`).not.toBe(500)
    }
    expect((await server.send('POST', path, body)).status).toBe(fine.status)
    await expectGood(path)
  })
})
