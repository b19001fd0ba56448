/**
 * The shared models through the whole server: their graphs give inside an isolate the bits that the driver gives in Node (which
 * are the stock API's, `stock-api.test.ts`), and their tasks give what `expected.json` says.
 */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { tensorFromJson, tensorToJson } from '#src/gateway/json-tensor.ts'
import { numbers, sampleInputs } from '../support/graph-inputs.ts'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import {
  haveSharedModels,
  sharedBytes,
  sharedJson,
  sharedModelPath,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const files = ['onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx']
const graphs = Object.keys(sampleInputs).flatMap((model) =>
  files.filter((file) => existsSync(sharedModelPath(model, file))).map((file) => [model, file] as const),
)

interface Expected {
  cases: {
    model: string
    text?: string
    tolerance: number
    top5?: { label: string; score: number }[]
    mean_pooled_l2_normalised?: number[]
  }[]
}
const casesOf = (model: string) => (sharedJson(model, 'expected.json') as Expected).cases

describe.skipIf(!haveSharedModels)(`the shared models in isolates (${withoutSharedModels})`, () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server?.stop())

  async function serve(model: string, name: string, extra: Record<string, unknown>): Promise<void> {
    const imported = await importFolder(server, sharedModelPath(model, '.'), name, extra)
    expect(imported.status, imported.text).toBe(200)
    const created = await createEndpoint(server, name, name)
    expect(created.json.state, created.text).toEqual({ ready: 'READY', config_update: 'NOT_UPDATING' })
  }

  async function predictions(name: string, inputs: unknown) {
    const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs })
    expect(reply.status, reply.text).toBe(200)
    return reply.json.predictions
  }

  it.each(graphs)('%s/%s gives the bits that Node gives', async (model, file) => {
    const ort = await bootNodeOrt()
    const session = await loadGraph(ort, sharedReader(model), file)
    const sample = sampleInputs[model]!()
    const inputs: NamedTensors = Object.fromEntries(
      session.inputs.map(({ name, dtype }) => {
        const tensor = sample[name] as NumericTensor
        return [
          name,
          dtype === tensor.dtype || dtype === 'string'
            ? tensor
            : numbers(dtype, tensor.shape, Array.from(valuesOf(tensor), Number)),
        ]
      }),
    )
    const expected = session.run(inputs)

    const name = `${model}-${file.replace(/\W/g, '-')}`
    await serve(model, name, { file, task: 'tensor' })
    const json = Object.fromEntries(Object.entries(inputs).map(([input, tensor]) => [input, tensorToJson(tensor)]))
    const answered = await predictions(name, json)
    expect(Object.keys(answered)).toEqual(Object.keys(expected))
    for (const [output, tensor] of Object.entries(expected)) {
      const { bytes } = tensorFromJson(answered[output], tensor.dtype, output) as NumericTensor
      expect(Buffer.from((tensor as NumericTensor).bytes).equals(bytes), output).toBe(true)
    }
  })

  it('squeezenet names the kitten of the sample picture', async () => {
    await serve('squeezenet', 'kitten', {})
    const [labels] = await predictions('kitten', [
      Buffer.from(sharedBytes('squeezenet', 'sample.png')).toString('base64'),
    ])
    const { top5 = [], tolerance } = casesOf('squeezenet')[0]!
    expect(labels.map(({ label }: { label: string }) => label)).toEqual(top5.map(({ label }) => label))
    for (const [at, { score }] of top5.entries())
      expect(Math.abs(labels[at].score - score)).toBeLessThanOrEqual(tolerance)
  })

  it('mnist-cntk reads the digit of the sample picture', async () => {
    await serve('mnist-cntk', 'digit', {})
    const [labels] = await predictions('digit', [
      Buffer.from(sharedBytes('mnist-cntk', 'sample.png')).toString('base64'),
    ])
    expect(labels[0].label).toBe('8')
  })

  it('the sentence embedder pools and normalises as expected, alone and among others', async () => {
    const model = 'fixture-bert-random-sentence_embedding'
    await serve(model, 'sentences', {})
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
})
