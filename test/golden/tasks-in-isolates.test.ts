/** Tasks through the whole server: each model is recognised by its files, measured at import and answered from its isolate. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { onnxModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedBytes, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server?.stop())

async function predictions(endpoint: string, inputs: unknown, params: object = {}) {
  const reply = await server.send('POST', `/serving-endpoints/${endpoint}/invocations`, { inputs, params })
  expect(reply.status, reply.text).toBe(200)
  return reply.json.predictions
}

async function versionOf(name: string) {
  return (await server.send('GET', `/api/2.0/glim/models/${name}/versions/1`)).json
}

describe.skipIf(!haveSharedModels)(`tasks of the shared models (${withoutSharedModels})`, () => {
  const base64 = (model: string, file: string) => Buffer.from(sharedBytes(model, file)).toString('base64')
  const serve = async (model: string, name: string, task: string) => {
    const imported = await importFolder(server, sharedModelPath(model, '.'), name)
    expect(imported.status, imported.text).toBe(200)
    expect(imported.json.task).toBe(task)
    await createEndpoint(server, name, name)
  }

  it('token-classification gives entities with their places', async () => {
    await serve('fixture-bert-random-token_classification', 'tokens', 'token-classification')
    const [entities] = await predictions('tokens', ['Hello world'], { aggregation_strategy: 'none' })
    expect(entities).toMatchObject([
      { entity: 'good', index: 1, word: 'hello', start: 0, end: 5 },
      { entity: 'good', index: 2, word: 'world', start: 6, end: 11 },
    ])
  })

  it('object-detection gives boxes', async () => {
    await serve('yolox-nano', 'boxes', 'object-detection')
    const [objects] = await predictions('boxes', [base64('yolox-nano', 'sample.jpg')])
    expect(objects.map((object: { label: string }) => object.label)).toEqual(['bird', 'cat'])
    expect(Object.keys(objects[0].box)).toEqual(['xmin', 'ymin', 'xmax', 'ymax'])
    expect((await versionOf('boxes')).capabilities).toEqual({
      max_tokens: null,
      max_batch: 1,
      batch_invariant: false,
      devices: ['wasm'],
      memory_bytes: expect.any(Number),
    })
  })

  it('voice-activity gives segments of speech, and a state for sound in pieces', async () => {
    await serve('silero-vad', 'voice', 'voice-activity')
    const audio = [base64('silero-vad', 'sample.wav')]
    const [whole] = await predictions('voice', { audio })
    expect(whole.segments.map(({ start }: { start: number }) => start)).toEqual([1.376, 3.584])
    const [first] = await predictions('voice', { audio }, { state: '' })
    const [second] = await predictions('voice', { audio }, { state: first.state })
    expect(first.speaking_since).toBe(3.584)
    expect(second.segments[0].start).toBe(3.584)
  })
})

describe('rerank', () => {
  /** A hundredth of the sum of a pair's ids. */
  const graph = onnxModel({
    nodes: [
      { operator: 'Cast', inputs: ['input_ids'], outputs: ['floats'], attributes: { to: 1 } },
      { operator: 'ReduceSum', inputs: ['floats', 'axis'], outputs: ['sum'] },
      { operator: 'Mul', inputs: ['sum', 'factor'], outputs: ['logits'] },
    ],
    inputs: [{ name: 'input_ids', dtype: 'int64', shape: ['rows', 'tokens'] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['rows', 1] }],
    weights: [
      { name: 'axis', dtype: 'int64', shape: [1], bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
      { name: 'factor', dtype: 'float32', shape: [1], bytes: new Uint8Array(Float32Array.of(0.01).buffer) },
    ],
  })
  const tokenizer = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab: { '[UNK]': 0, one: 1, two: 2, three: 3 }, unk_token: '[UNK]' },
  }
  const config = {
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'LABEL_0' },
    sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' },
  }
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

  it('gives each query its documents, the best first, and pairs their scores', async () => {
    const files = [
      { path: 'model.onnx', bytes: graph },
      { path: 'tokenizer.json', bytes: text(tokenizer) },
      { path: 'config.json', bytes: text(config) },
    ]
    const imported = await importFiles(server, files, 'rank')
    expect(imported.json.task, imported.text).toBe('rerank')
    await createEndpoint(server, 'rank', 'rank')
    const documents = [['one', 'three', 'two']]
    const ranked = await predictions('rank', { query: ['one'], documents }, { top_n: 2, return_documents: true })
    expect(ranked).toEqual([
      [
        { index: 1, score: expect.closeTo(0.04), document: 'three' },
        { index: 2, score: expect.closeTo(0.03), document: 'two' },
      ],
    ])
    expect(await predictions('rank', { text: ['one', 'two'], text_pair: ['one', 'two'] })).toEqual([
      expect.closeTo(0.02),
      expect.closeTo(0.04),
    ])
  })
})

describe('a starter model', () => {
  const starter = (name: string) => fileURLToPath(new URL(`../../models/${name}`, import.meta.url))

  it('is measured at import, and its rows share runs only where that changes no bit', async () => {
    for (const [name, invariant] of [
      ['embed', true],
      ['intent', false],
    ] as const) {
      const imported = await importFolder(server, starter(name), name)
      expect(imported.status, imported.text).toBe(200)
      expect((await versionOf(name)).capabilities).toEqual({
        max_tokens: expect.any(Number),
        max_batch: invariant ? 32 : 1,
        batch_invariant: invariant,
        devices: ['wasm'],
        memory_bytes: expect.any(Number),
      })
    }
    await createEndpoint(server, 'embed', 'embed')
    await predictions('embed', ['one'])
    const { json } = await server.send('GET', '/api/2.0/serving-endpoints/embed')
    expect(json.state_summary).toMatch(
      /^Ready on config version 1 \(embed-1: warm, \d+\.\d MiB of engine memory with 6\.5 MiB of weights\)\.$/,
    )
    const texts = Array.from({ length: 40 }, (_, index) =>
      'my card was stolen please help me now'
        .split(' ')
        .slice(index % 8)
        .join(' '),
    )
    const together = await Promise.all(texts.map((one) => predictions('embed', [one])))
    for (const [index, one] of texts.slice(0, 8).entries()) {
      const [alone] = await predictions('embed', [one])
      for (let at = index; at < texts.length; at += 8) expect(together[at][0]).toEqual(alone)
    }
  })
})
