/**
 * Models through the whole server. The graphs of the shared models give, with our driver in Node and inside an isolate, the bits of
 * the stock onnxruntime-web API. Each model's task is recognised by its files and gives what `expected.json` says.
 */
import { existsSync } from 'node:fs'
import * as stock from 'onnxruntime-web/wasm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { tensorFromJson, tensorToJson } from '#src/gateway/json-tensor.ts'
import { numbers, sampleInputs } from '../support/graph-inputs.ts'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { rerankerFiles } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import {
  haveSharedModels,
  sharedBytes,
  sharedJson,
  sharedModelPath,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server?.stop())

async function serve(model: string, name: string, extra: Record<string, unknown> = {}): Promise<string> {
  const imported = await importFolder(server, sharedModelPath(model, '.'), name, extra)
  expect(imported.status, imported.text).toBe(200)
  const created = await createEndpoint(server, name, name)
  expect(created.json.state, created.text).toEqual({ ready: 'READY', config_update: 'NOT_UPDATING' })
  return imported.json.task
}

async function predictions(name: string, inputs: unknown, params: object = {}) {
  const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs, params })
  expect(reply.status, reply.text).toBe(200)
  return reply.json.predictions
}

const base64 = (model: string, file: string) => Buffer.from(sharedBytes(model, file)).toString('base64')

const files = ['onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx']
const graphs = Object.keys(sampleInputs).flatMap((model) =>
  files.filter((file) => existsSync(sharedModelPath(model, file))).map((file) => [model, file] as const),
)

describe.skipIf(!haveSharedModels)(`the graphs of the shared models (${withoutSharedModels})`, () => {
  let ort: Ort
  beforeAll(async () => {
    stock.env.wasm.numThreads = 1
    ort = await bootNodeOrt()
  })

  it.each(graphs)('%s/%s gives the bits of the stock API, in Node and in an isolate', async (model, file) => {
    const session = await loadGraph(ort, sharedReader(model), file)
    const sample = sampleInputs[model]!()
    const inputs: NamedTensors = Object.fromEntries(
      session.inputs.map(({ name, dtype }) => {
        const tensor = sample[name] as NumericTensor
        if (dtype === tensor.dtype || dtype === 'string') return [name, tensor]
        return [name, numbers(dtype, tensor.shape, Array.from(valuesOf(tensor), Number))]
      }),
    )
    const inNode = session.run(inputs)
    session.release()

    const name = `${model}-${file.replace(/\W/g, '-')}`
    await serve(model, name, { file, task: 'tensor' })
    const asJson = Object.entries(inputs).map(([input, tensor]) => [input, tensorToJson(tensor)])
    const inIsolate = await predictions(name, Object.fromEntries(asJson))

    const expected = await stockRun(model, file, inputs)
    expect(Object.keys(inNode)).toEqual(Object.keys(expected))
    expect(Object.keys(inIsolate)).toEqual(Object.keys(expected))
    for (const [output, bytes] of Object.entries(expected)) {
      const { dtype, bytes: ours } = inNode[output] as NumericTensor
      const answered = tensorFromJson(inIsolate[output], dtype, output) as NumericTensor
      expect(Buffer.from(ours).equals(bytes), `${output} in Node`).toBe(true)
      expect(Buffer.from(answered.bytes).equals(bytes), `${output} in an isolate`).toBe(true)
    }
  })
})

async function stockRun(model: string, file: string, inputs: NamedTensors): Promise<Record<string, Uint8Array>> {
  const session = await stock.InferenceSession.create(sharedBytes(model, file))
  const feeds = Object.entries(inputs).map(([name, tensor]) => {
    const { dtype, shape } = tensor as NumericTensor
    return [
      name,
      new stock.Tensor(dtype as 'float32', valuesOf(tensor as NumericTensor) as Float32Array, shape),
    ] as const
  })
  const outputs = await session.run(Object.fromEntries(feeds))
  await session.release()
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      const { buffer, byteOffset, byteLength } = data as Float32Array
      return [name, new Uint8Array(buffer, byteOffset, byteLength)]
    }),
  )
}

interface Expected {
  cases: {
    text?: string
    tolerance: number
    top5?: { label: string; score: number }[]
    mean_pooled_l2_normalised?: number[]
  }[]
}

describe.skipIf(!haveSharedModels)(`the tasks of the shared models (${withoutSharedModels})`, () => {
  const casesOf = (model: string) => (sharedJson(model, 'expected.json') as Expected).cases

  it('image-classification names the kitten of the sample picture', async () => {
    expect(await serve('squeezenet', 'kitten')).toBe('image-classification')
    const [labels] = await predictions('kitten', [base64('squeezenet', 'sample.png')])
    const { top5 = [], tolerance } = casesOf('squeezenet')[0]!
    expect(labels.map(({ label }: { label: string }) => label)).toEqual(top5.map(({ label }) => label))
    for (const [at, { score }] of top5.entries())
      expect(Math.abs(labels[at].score - score)).toBeLessThanOrEqual(tolerance)
  })

  it('image-classification reads the digit of the sample picture', async () => {
    expect(await serve('mnist-cntk', 'digit')).toBe('image-classification')
    const [labels] = await predictions('digit', [base64('mnist-cntk', 'sample.png')])
    expect(labels[0].label).toBe('8')
  })

  it('feature-extraction pools and normalises as expected, alone and among others', async () => {
    const model = 'fixture-bert-random-sentence_embedding'
    expect(await serve(model, 'sentences')).toBe('feature-extraction')
    const cases = casesOf(model)
    const together = await predictions(
      'sentences',
      cases.map(({ text }) => text),
    )
    for (const [row, { text, mean_pooled_l2_normalised: expected, tolerance }] of cases.entries()) {
      expect(await predictions('sentences', [text])).toEqual([together[row]])
      for (const [at, value] of expected!.entries())
        expect(Math.abs(together[row][at] - value)).toBeLessThanOrEqual(tolerance)
    }
  })

  it('token-classification gives entities with their places', async () => {
    expect(await serve('fixture-bert-random-token_classification', 'tokens')).toBe('token-classification')
    const [entities] = await predictions('tokens', ['Hello world'], { aggregation_strategy: 'none' })
    expect(entities).toMatchObject([
      { entity: 'good', index: 1, word: 'hello', start: 0, end: 5 },
      { entity: 'good', index: 2, word: 'world', start: 6, end: 11 },
    ])
  })

  it('object-detection gives boxes', async () => {
    expect(await serve('yolox-nano', 'boxes')).toBe('object-detection')
    const [objects] = await predictions('boxes', [base64('yolox-nano', 'sample.jpg')])
    expect(objects.map((object: { label: string }) => object.label)).toEqual(['bird', 'cat'])
    expect(Object.keys(objects[0].box)).toEqual(['xmin', 'ymin', 'xmax', 'ymax'])
    expect((await server.send('GET', '/api/2.0/glim/models/boxes/versions/1')).json.capabilities).toEqual({
      max_tokens: null,
      max_batch: 1,
      batch_invariant: false,
      devices: ['wasm'],
      memory_bytes: expect.any(Number),
    })
  })

  it('voice-activity gives segments of speech, and a state for sound in pieces', async () => {
    expect(await serve('silero-vad', 'voice')).toBe('voice-activity')
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
  const config = {
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'LABEL_0' },
    sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' },
  }

  it('gives each query its documents, the best first, and pairs their scores', async () => {
    const imported = await importFiles(server, rerankerFiles(config), 'rank')
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
