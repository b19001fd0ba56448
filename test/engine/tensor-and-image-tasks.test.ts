import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ServedModel } from '#contracts/served-model.ts'
import { signatureSchema } from '#contracts/signature.ts'
import { type BinaryTensor, type NamedTensors, type NumericTensor, tensorOf, valuesOf } from '#contracts/tensor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { imageClassificationTask } from '#src/engine/tasks/image-classification.ts'
import { tensorTask } from '#src/engine/tasks/tensor.ts'
import { bootNodeOrt, jpegWasm } from '../support/node-ort.ts'
import { onnxModel } from '../support/onnx-model.ts'
import {
  folderReader,
  haveSharedModels,
  memoryReader,
  sharedBytes,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const folder = (name: string) => fileURLToPath(new URL(`../fixtures/${name}/`, import.meta.url))
const picture = (name: string) => new Uint8Array(readFileSync(`${folder('pictures')}${name}`))
const images = (...items: Uint8Array[]): BinaryTensor => ({ dtype: 'binary', shape: [items.length], items })

const scoresIn = (outputs: NamedTensors) => Array.from(valuesOf(outputs.score as NumericTensor) as Float32Array)

let ort: Ort
let jpeg: WebAssembly.Module
beforeAll(async () => {
  ort = await bootNodeOrt()
  jpeg = await jpegWasm()
})

describe('tensor', () => {
  const load = (graph: string): Promise<ServedModel> =>
    loadModel(ort, tensorTask, { reader: folderReader(folder('onnx')), graph, options: {} })
  const x = tensorOf('float32', [2, 8], new Float32Array(16).fill(1))

  it('the signature is that of the graph', async () => {
    const { signature, memory } = await load('external.onnx')
    expect(signatureSchema.parse(signature)).toEqual({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 8] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['rows', 8] }],
      params: [],
    })
    expect(memory()).toEqual({ heapBytes: ort.heapBytes, weightsBytes: expect.any(Number) })
  })

  it('outputs can be chosen, and an unknown one is refused with the names that exist', async () => {
    const model = await load('identity.onnx')
    const { inputs: fields } = model.signature
    const inputs = Object.fromEntries(
      fields.map(({ name, dtype }) => [
        name,
        dtype === 'string'
          ? { dtype, shape: [0], strings: [] }
          : ({ dtype, shape: [0], bytes: new Uint8Array(0) } as NumericTensor),
      ]),
    )
    expect(
      Object.keys((await model.invoke({ inputs, params: {}, outputs: ['bool_out', 'int8_out'] })).outputs),
    ).toEqual(['bool_out', 'int8_out'])
    expect(Object.keys((await model.invoke({ inputs, params: {} })).outputs)).toHaveLength(13)
    await expect(model.invoke({ inputs, params: {}, outputs: ['nope'] })).rejects.toThrow(
      'outputs: the graph has no output "nope"; it has "float32_out"',
    )
  })

  it('what does not fit is refused by field, or in the words of ORT', async () => {
    const model = await load('external.onnx')
    const ask = (inputs: Record<string, NumericTensor>) => model.invoke({ inputs, params: {} })
    await expect(ask({})).rejects.toMatchObject({ status: 400, field: 'x' })
    await expect(ask({ x: tensorOf('float64', [1, 8], new Float64Array(8)) })).rejects.toThrow(
      'x: the graph takes float32, float64 came',
    )
    await expect(ask({ x: { ...x, shape: [4, 4] } })).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('Expected: 8'),
    })
  })

  it('a model that fails to load gives its memory back', async () => {
    const broken = { ...tensorTask, load: () => Promise.reject(new Error('no')) }
    const attempt = () =>
      loadModel(ort, broken, { reader: folderReader(folder('onnx')), graph: 'external.onnx', options: {} }).catch(
        () => undefined,
      )
    for (let index = 0; index < 20; index++) await attempt()
    const before = [ort.heapBytes, ort.malloc(100_000)]
    ort.free(before[1]!)
    for (let index = 0; index < 100; index++) await attempt()
    expect([ort.heapBytes, ort.malloc(100_000)]).toEqual(before)
    ort.free(before[1]!)
  })
})

describe.skipIf(!haveSharedModels)(`image-classification (${withoutSharedModels})`, () => {
  const load = (model: string, graph = 'onnx/model.onnx') =>
    loadModel(ort, imageClassificationTask, { reader: sharedReader(model), graph, options: {}, wasm: { jpeg } })

  it.each(['onnx/model.onnx', 'onnx/model_fp16.onnx'])(
    'squeezenet, %s: probabilities of the graph are not changed',
    async (graph) => {
      const { cases } = sharedJson('squeezenet', 'expected.json') as {
        cases: { model: string; tolerance: number; top5: { label: string; score: number }[] }[]
      }
      const { top5, tolerance } = cases.find(({ model }) => model === graph)!
      const model = await load('squeezenet', graph)
      const { rows, outputs } = await model.invoke({
        inputs: { image: images(sharedBytes('squeezenet', 'sample.png')) },
        params: {},
      })
      const [labels] = rows as { label: string; score: number }[][]
      expect(labels!.map(({ label }) => label)).toEqual(top5.map(({ label }) => label))
      for (const [index, { score }] of top5.entries())
        expect(Math.abs(labels![index]!.score - score)).toBeLessThanOrEqual(tolerance)
      expect(outputs.score!.shape).toEqual([1, 5])
    },
  )

  it('mnist-cntk: raw numbers become scores, without any preprocessing file', async () => {
    const model = await load('mnist-cntk')
    const image = images(sharedBytes('mnist-cntk', 'sample.png'), sharedBytes('mnist-cntk', 'sample.png'))
    const { rows } = await model.invoke({ inputs: { image }, params: { top_k: 1 } })
    expect(rows).toEqual([[{ label: '8', score: 1 }], [{ label: '8', score: 1 }]])
    const raw = await model.invoke({ inputs: { image }, params: { top_k: 1, function_to_apply: 'none' } })
    expect(raw.rows![0]).toEqual([{ label: '8', score: expect.closeTo(6080.63, 1) }])
  })
})

describe('image-classification', () => {
  it('refuses a graph that gives numbers for places instead of labels', async () => {
    const graph = onnxModel({
      nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 2, 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [1, 3, 2, 2] }],
    })
    const model = await loadModel(ort, imageClassificationTask, {
      reader: memoryReader({ 'model.onnx': graph }),
      graph: 'model.onnx',
      options: {},
    })
    await expect(model.invoke({ inputs: { image: images(picture('rgb.png')) }, params: {} })).rejects.toThrow(
      'The graph\'s output "y" has shape [1, 3, 2, 2]; one number per label was expected.',
    )
  })

  const files = { 'model.onnx': new Uint8Array(readFileSync(`${folder('onnx')}channel-means.onnx`)) }
  const load = (more = {}) =>
    loadModel(ort, imageClassificationTask, {
      reader: memoryReader({ ...files, ...more }),
      graph: 'model.onnx',
      options: {},
      wasm: { jpeg },
    })
  const ask = async (model: ServedModel, image: BinaryTensor) =>
    (await model.invoke({ inputs: { image }, params: { function_to_apply: 'none' } })).outputs

  it('JPEG and PNG rows keep their order, labels without names are numbered', async () => {
    const outputs = await ask(await load(), images(picture('baseline.jpg'), picture('grey.png')))
    expect(outputs.label).toMatchObject({
      shape: [2, 3],
      strings: expect.arrayContaining(['LABEL_0', 'LABEL_1', 'LABEL_2']),
    })
    const scores = valuesOf(outputs.score as NumericTensor)
    expect(scores[3]).toBe(scores[4])
    expect(scores[3]).toBe(scores[5])
  })

  it('the preprocessing file is followed', async () => {
    const config = {
      do_resize: true,
      size: { height: 2, width: 2 },
      resample: 0,
      do_rescale: true,
      rescale_factor: 0.5,
      do_normalize: false,
    }
    const plain = await ask(
      await load({ 'preprocessor_config.json': JSON.stringify({ ...config, do_rescale: false }) }),
      images(picture('rgb.png')),
    )
    const halved = await ask(
      await load({ 'preprocessor_config.json': JSON.stringify(config) }),
      images(picture('rgb.png')),
    )
    const doubled = scoresIn(halved).map((value) => 2 * value)
    expect(doubled).toEqual(scoresIn(plain))
  })

  it('a picture that cannot be read is named by its row', async () => {
    const model = await load()
    const invoke = (image: BinaryTensor) => model.invoke({ inputs: { image }, params: {} })
    await expect(invoke(images(picture('grey.png'), picture('picture.gif')))).rejects.toMatchObject({
      status: 400,
      field: 'image[1]',
      message: 'image[1]: The picture cannot be read: it is a GIF picture; PNG and JPEG are accepted.',
    })
    await expect(model.invoke({ inputs: {}, params: {} })).rejects.toMatchObject({ field: 'image' })
  })

  it('a graph that takes no picture is refused', async () => {
    const external = folderReader(folder('onnx'))
    const options = { reader: external, options: {}, wasm: { jpeg } }
    await expect(loadModel(ort, imageClassificationTask, { ...options, graph: 'external.onnx' })).rejects.toThrow(
      'a picture needs four dimensions',
    )
    await expect(loadModel(ort, imageClassificationTask, { ...options, graph: 'echo-tokens.onnx' })).rejects.toThrow(
      'A picture is one input',
    )
  })
})
