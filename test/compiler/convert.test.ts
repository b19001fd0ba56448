import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { dtypes, type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { type Conversion, type ConvertOptions, convertModel } from '#src/compiler/convert/convert-model.ts'
import { exampleTexts } from '#src/compiler/convert/examples.ts'
import { int8Columns, int8Rows } from '#src/compiler/convert/int8-weights.ts'
import { type Quantized, quantizeModel } from '#src/compiler/convert/quantize.ts'
import { runVariant } from '#src/compiler/convert/run-variants.ts'
import { type Engine, type OrtRuntime, openEngine, saveOrt } from '#src/compiler/convert/save-ort.ts'
import { type GraphBuilder, graphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import type { OnnxModel } from '#src/compiler/onnx/model.ts'
import { readModel } from '#src/compiler/onnx/read-model.ts'
import { joined } from '#src/compiler/onnx/wire.ts'
import { modelParts } from '#src/compiler/onnx/write-model.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { loadTokenizer } from '#src/engine/tokenizer.ts'
import { expectEqual } from '../support/expect-equal.ts'
import { numbers, sampleInputs } from '../support/graph-inputs.ts'
import { ortWasm } from '../support/node-ort.ts'
import {
  haveSharedModels,
  memoryReader,
  sharedBytes,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

let runtime: OrtRuntime
let engine: Engine
beforeAll(async () => {
  runtime = { factory, wasm: await ortWasm() }
  engine = await openEngine(runtime)
})

const noTexts = { encodings: [], vocabulary: 100 }
const convert = (bytes: Uint8Array, options: Partial<ConvertOptions> = {}) =>
  convertModel(bytes, { runtime, quantize: 'none', optimize: true, examples: noTexts, ...options })

/** Numbers that look like noise and are always the same. */
const noise = (count: number, seed = 1) =>
  Float32Array.from({ length: count }, (_, at) => Math.sin((at + 1) * 12.9898 * seed) * Math.cos((at + 7) * 78.233))

const matrix = (graph: GraphBuilder, name: string, rows: number, columns: number, values = noise(rows * columns)) =>
  graph.constant(name, { dtype: 'float32', shape: [rows, columns], values })

/** `y = x · W` for rows of 64. */
function productModel(opset = 17): OnnxModel {
  const graph = graphBuilder()
  const x = graph.input('x', 'float32', ['rows', 64])
  graph.add('MatMul', [x, matrix(graph, 'W', 64, 48)], { outputs: ['y'] })
  graph.output('y', 'float32', ['rows', 48])
  return graph.model({ opset })
}

const fileOf = (model: OnnxModel) => joined(modelParts(model))

function quantized(model: OnnxModel): Quantized {
  const result = quantizeModel(model)
  if (typeof result === 'string') throw new Error(result)
  return result
}

function answer(model: OnnxModel, inputs: Record<string, NumericTensor>, level: 0 | 99 = 99) {
  const { outputs } = runVariant(engine, { file: modelParts(model), level }, [inputs])
  return Object.fromEntries(
    Object.entries(outputs[0]!).map(([name, tensor]) => [name, valuesOf(tensor as NumericTensor) as Float32Array]),
  )
}

function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let [product, ofLeft, ofRight] = [0, 0, 0]
  for (let at = 0; at < left.length; at++) {
    product += left[at]! * right[at]!
    ofLeft += left[at]! ** 2
    ofRight += right[at]! ** 2
  }
  return product / Math.sqrt(ofLeft * ofRight)
}

const operators = (model: OnnxModel) => model.graph.nodes.map(({ operator }) => operator)
const weight = (model: OnnxModel, name: string) => model.graph.initializers.find((tensor) => tensor.name === name)

describe('int8 weights', () => {
  it('have a scale for each row or column, and none is off by more than half a step', () => {
    const values = noise(6 * 4)
    const rows = int8Rows(values, 4)
    const columns = int8Columns(values, 4)
    expect([rows.scales.length, columns.scales.length]).toEqual([6, 4])
    for (const [at, value] of values.entries()) {
      const [row, column] = [Math.floor(at / 4), at % 4]
      expect(Math.abs(rows.values[at]! * rows.scales[row]! - value)).toBeLessThanOrEqual(rows.scales[row]! * 0.501)
      expect(Math.abs(columns.values[at]! * columns.scales[column]! - value)).toBeLessThanOrEqual(
        columns.scales[column]! * 0.501,
      )
    }
  })

  it('of zeros are zeros', () => {
    expect(int8Rows(new Float32Array(8), 4).values).toEqual(new Int8Array(8))
    expect(int8Columns(new Float32Array(8), 4).values).toEqual(new Int8Array(8))
  })
})

describe('quantisation', () => {
  const x = numbers('float32', [3, 64], [...noise(192, 3)])

  it.each([11, 13, 17, 18])('a product in operator set %i keeps its answer, optimised or not', async (opset) => {
    const model = productModel(opset)
    const { y } = answer(model, { x })
    const result = quantized(model)
    expect(result).toMatchObject({ products: 1, tables: 0 })
    expect(weight(result.model, 'W')).toBeUndefined()
    for (const level of [0, 99] as const)
      expect(cosine(answer(result.model, { x }, level).y!, y!)).toBeGreaterThan(0.998)
  })

  it('the given model stays as it is', () => {
    const model = productModel()
    const before = fileOf(model)
    quantizeModel(model)
    expect(fileOf(model)).toEqual(before)
  })

  it.each([
    ['alpha, beta and a bias', { alpha: { float: 0.5 }, beta: { float: 2 } }, false],
    ['weights turned over', { transB: 1 }, true],
  ] as const)('Gemm with %s keeps its answer', async (_, attributes, isTurned) => {
    const graph = graphBuilder()
    const input = graph.input('x', 'float32', ['rows', 64])
    const weights = isTurned ? matrix(graph, 'W', 48, 64) : matrix(graph, 'W', 64, 48)
    const bias = graph.constant('b', { dtype: 'float32', shape: [48], values: noise(48, 5) })
    graph.add('Gemm', [input, weights, bias], { outputs: ['y'], attributes })
    graph.output('y', 'float32', ['rows', 48])
    const model = graph.model()
    const result = quantized(model)
    expect(operators(result.model)).not.toContain('Gemm')
    const [before, after] = [answer(model, { x }), answer(result.model, { x })]
    expect(cosine(after.y!, before.y!)).toBeGreaterThan(0.998)
  })

  it('products that read the same rows quantise them once', () => {
    const graph = graphBuilder()
    const input = graph.input('x', 'float32', ['rows', 64])
    for (const name of ['q', 'k', 'v']) {
      graph.add('MatMul', [input, matrix(graph, `W${name}`, 64, 64)], { outputs: [name] })
      graph.output(name, 'float32', ['rows', 64])
    }
    const result = quantized(graph.model())
    expect(operators(result.model).filter((operator) => operator === 'QuantizeLinear')).toHaveLength(1)
    expect(operators(result.model).filter((operator) => operator === 'MatMulInteger')).toHaveLength(3)
  })

  /** Ids to vectors to logits over the same vocabulary. */
  function tiedModel(form: 'transposed' | 'copied' | 'gemm'): OnnxModel {
    const graph = graphBuilder()
    const [vocabulary, width] = [200, 32]
    const ids = graph.input('input_ids', 'int64', [1, 'tokens'])
    const values = noise(vocabulary * width)
    const table = matrix(graph, 'words', vocabulary, width, values)
    const vectors = graph.add('Gather', [table, ids])
    graph.output('logits', 'float32', form === 'gemm' ? ['tokens', vocabulary] : [1, 'tokens', vocabulary])
    if (form === 'gemm') {
      const flat = graph.add('Reshape', [vectors, graph.ints([-1, width])])
      graph.add('Gemm', [flat, table], { outputs: ['logits'], attributes: { transB: 1 } })
      return graph.model()
    }
    const turned = Float32Array.from(
      values,
      (_, at) => values[(at % vocabulary) * width + Math.floor(at / vocabulary)]!,
    )
    const head =
      form === 'copied'
        ? matrix(graph, 'head', width, vocabulary, turned)
        : graph.add('Transpose', [table], { attributes: { perm: [1, 0] } })
    graph.add('MatMul', [vectors, head], { outputs: ['logits'] })
    return graph.model()
  }

  it.each(['transposed', 'copied', 'gemm'] as const)(
    'a table tied to the last product (%s) is stored once',
    async (form) => {
      const model = tiedModel(form)
      const input_ids = numbers('int64', [1, 4], [0, 7, 199, 3])
      const result = quantized(model)
      expect(result).toMatchObject({ products: 1, tables: 1 })
      const stored = result.model.graph.initializers.filter(({ type }) => type === dtypes.int8.onnx)
      expect(stored.map(({ shape }) => shape)).toEqual([[32, 200]])
      const [before, after] = [answer(model, { input_ids }), answer(result.model, { input_ids })]
      expect(cosine(after.logits!, before.logits!)).toBeGreaterThan(0.999)
    },
  )

  it('look-ups by position, small weights, and weights that callers may replace stay float', () => {
    const graph = graphBuilder()
    const places = graph.input('position_ids', 'int64', ['rows'])
    const input = graph.input('x', 'float32', ['rows', 16])
    graph.add('Gather', [matrix(graph, 'rotary', 2_048, 32), places], { outputs: ['angles'] })
    graph.add('MatMul', [input, matrix(graph, 'small', 16, 16)], { outputs: ['y'] })
    graph.add('MatMul', [input, matrix(graph, 'given', 16, 256)], { outputs: ['z'] })
    graph.input('given', 'float32', [16, 256])
    for (const name of ['angles', 'y', 'z']) graph.output(name, 'float32', ['rows', '?'])
    expect(quantizeModel(graph.model())).toBe('the graph has no large float32 matrices in products or look-ups')
  })

  it('weights that a branch of the graph reads are kept for it', async () => {
    const graph = graphBuilder()
    const input = graph.input('x', 'float32', ['rows', 64])
    const weights = matrix(graph, 'W', 64, 64)
    const branch = (operator: string) => {
      const inner = graphBuilder()
      inner.add(operator, ['product', weights], { outputs: [`${operator}.out`] })
      inner.output(`${operator}.out`, 'float32', ['rows', 64])
      return inner.graph
    }
    const product = graph.add('MatMul', [input, weights], { outputs: ['product'] })
    const some = graph.add('Cast', [graph.add('ReduceSum', [product], { attributes: { keepdims: 0 } })], {
      attributes: { to: dtypes.bool.onnx },
    })
    graph.add('If', [some], {
      outputs: ['y'],
      attributes: { then_branch: branch('MatMul'), else_branch: branch('Add') },
    })
    graph.output('y', 'float32', ['rows', 64])
    const model = graph.model()
    const result = quantized(model)
    expect(weight(result.model, 'W')).toBeDefined()
    const [before, after] = [answer(model, { x }), answer(result.model, { x })]
    expect(cosine(after.y!, before.y!)).toBeGreaterThan(0.98)
  })

  it('says why there is none for an operator set without integer products', () => {
    expect(quantizeModel(productModel(9))).toMatch(/operator set 9, and integer products exist from 10 on/)
  })
})

describe('conversion', () => {
  it('to int8 reports how the answers compare, and that rows do not depend on their neighbours', async () => {
    const conversion = await convert(fileOf(productModel()), { quantize: 'int8' })
    expect(conversion).toMatchObject({ file: { format: 'ort' }, batchInvariant: true })
    expect(conversion.note).toMatch(/^quantised to int8 by row \(1 products, 0 tables.*optimised, with the same bits$/)
    expect(conversion.accuracy).toMatchObject([{ output: 'y' }])
    expect(conversion.accuracy![0]!.cosine).toBeGreaterThan(0.998)
  })

  it('to int8 gives the same file and the same words every time', async () => {
    const [once, twice] = [
      await convert(fileOf(productModel()), { quantize: 'int8' }),
      await convert(fileOf(productModel()), { quantize: 'int8' }),
    ]
    expect([joined(twice.file!), twice.note]).toEqual([joined(once.file!), once.note])
  })

  it('to int8 is refused where the answers drift, unless it is forced', async () => {
    // The difference of two products that are almost the same is mostly what rounding does to each.
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', ['rows', 64])
    const first = noise(64 * 64)
    const second = first.map((value, at) => value + 0.002 * Math.sin(at * 5))
    const products = [matrix(graph, 'A', 64, 64, first), matrix(graph, 'B', 64, 64, second)].map((name) =>
      graph.add('MatMul', [x, name]),
    )
    graph.add('Sub', products, { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 64])
    const bytes = graph.bytes()
    await expect(convert(bytes, { quantize: 'int8' })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/output "y" has a cosine of .* and 0\.99 is the least\. Use --quantize force/),
    })
    const forced = await convert(bytes, { quantize: 'force' })
    expect(forced.file?.format).toBe('ort')
    expect(forced.accuracy![0]!.cosine).toBeLessThan(0.99)
  })

  it("of a graph that ORT's optimiser changes is not done: a bias after integer products scaled by row in one step", async () => {
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', ['rows', 64])
    const zero = graph.byte(128)
    const top = graph.add('ReduceMax', [graph.add('Abs', [x])], { attributes: { axes: [-1], keepdims: 1 } })
    const scale = graph.add('Add', [graph.add('Mul', [top, graph.floats(1 / 127)]), graph.floats(1e-9)])
    const values = graph.add('QuantizeLinear', [graph.add('Div', [x, scale]), graph.floats(1), zero])
    const int8 = int8Columns(noise(64 * 48), 48)
    const W = graph.constant('W', { dtype: 'int8', shape: [64, 48], values: int8.values })
    const scales = graph.constant('scales', { dtype: 'float32', shape: [48], values: int8.scales })
    const float = graph.add('Cast', [graph.add('MatMulInteger', [values, W, zero])], { attributes: { to: 1 } })
    const bias = graph.constant('bias', { dtype: 'float32', shape: [48], values: new Float32Array(48).fill(20) })
    graph.add('Add', [graph.add('Mul', [float, graph.add('Mul', [scale, scales])]), bias], { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 48])
    const rows = numbers(
      'float32',
      [4, 64],
      [...noise(256)].map((value, at) => value * 10 ** Math.floor(at / 64)),
    )
    const [plain, fused] = [answer(graph.model(), { x: rows }, 0), answer(graph.model(), { x: rows }, 99)]
    expect(cosine(plain.y!, fused.y!)).toBeLessThan(0.9999)
    expect((await convert(graph.bytes())).note).toMatch(/differs from the graph itself/)
  })

  it('leaves a graph that answers none of the sample inputs as it is', async () => {
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', ['rows', 'columns'])
    graph.add('Reshape', [x, graph.ints([7, 11, 13])], { outputs: ['y'] })
    graph.output('y', 'float32', [7, 11, 13])
    const { file, note } = await convert(graph.bytes())
    expect(file).toBeNull()
    expect(note).toMatch(/^not converted: none of the generated inputs is answered/)
  })

  it('leaves a graph whose answers are random as it is', async () => {
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', ['rows', 4])
    graph.add('Add', [x, graph.add('RandomNormal', [], { attributes: { shape: [1, 4] } })], { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 4])
    expect((await convert(graph.bytes())).note).toBe('not converted: the optimised graph does not give the same bits')
  })

  it('leaves a graph that ONNX Runtime cannot load as it is, in its words', async () => {
    const graph = graphBuilder()
    graph.add('NoSuchOperator', [graph.input('x', 'float32', [1])], { outputs: ['y'] })
    graph.output('y', 'float32', [1])
    expect((await convert(graph.bytes())).note).toMatch(/^not converted: .*NoSuchOperator/)
  })

  it('refuses what is no ONNX file', async () => {
    await expect(convert(new TextEncoder().encode('version https://git-lfs'))).rejects.toMatchObject({ status: 400 })
  })
})

describe('an .ort file', () => {
  it('is the same every time', async () => {
    const parts = modelParts(productModel())
    expect(joined(saveOrt(engine, parts))).toEqual(joined(saveOrt(engine, parts)))
  })
})

const oldOperators = /^not quantised: the graph is of operator set 7/
const nothingToQuantise: Readonly<Record<string, RegExp>> = {
  'mnist-cntk': oldOperators,
  squeezenet: oldOperators,
  'yolox-nano': /^not quantised: the graph has no large float32 matrices in products or look-ups/,
}

const graphs = [
  ...Object.keys(sampleInputs).map((model) => [model, 'onnx/model.onnx'] as const),
  ['silero-vad', 'onnx/model_fp16.onnx'],
  ['squeezenet', 'onnx/model_fp16.onnx'],
  ['stories260k', 'onnx/model_quantized.onnx'],
] as const

async function sampleTexts(model: string) {
  const reader = sharedReader(model)
  if ((await reader.sizeOf('tokenizer.json')) === null) return noTexts
  const tokenizer = await loadTokenizer(reader)
  return { encodings: exampleTexts.map((text) => tokenizer.encode(text, undefined, 64)), vocabulary: 100 }
}

/** The `.ort` file of a graph, made once; int8 is asked for where there is nothing to quantise. */
async function optimised(model: string, file: string): Promise<Conversion> {
  const key = `${model}/${file}`
  const quantize = model in nothingToQuantise && file === 'onnx/model.onnx' ? 'int8' : 'none'
  const make = async () => convert(sharedBytes(model, file), { quantize, examples: await sampleTexts(model) })
  const made = conversions.get(key) ?? make()
  conversions.set(key, made)
  return made
}

const conversions = new Map<string, Promise<Conversion>>()

async function outputsOf(file: Uint8Array, path: string, inputs: NamedTensors) {
  const session = await loadGraph(engine.ort, memoryReader({ [path]: file }), path)
  const outputs = session.run(inputs)
  session.release()
  return outputs
}

describe.skipIf(!haveSharedModels)(`real models ${haveSharedModels ? '' : withoutSharedModels}`, () => {
  it.each(graphs)(
    '%s %s becomes an .ort file that answers with the same bits',
    { timeout: 60_000 },
    async (model, file) => {
      const { file: made, note } = await optimised(model, file)
      expect(note).toMatch(/^(not quantised: .*; )?optimised, with the same bits as the original$/)
      if (file.endsWith('_fp16.onnx')) return
      const inputs = sampleInputs[model]!()
      const before = await outputsOf(sharedBytes(model, file), 'a.onnx', inputs)
      expectEqual(await outputsOf(joined(made!), 'a.ort', inputs), before)
    },
  )

  it.each([
    ['fixture-bert-random-sentence_embedding', 1, 0.4],
    ['fixture-bert-random-sequence_classification', 1, 0.4],
    ['magika', 2, 1],
    ['stories260k', 37, 0.5],
  ] as const)('%s in int8 answers like the original', async (model, changed, share) => {
    const bytes = sharedBytes(model, 'onnx/model.onnx')
    const { products, tables, bytesAfter } = quantized(readModel(bytes))
    expect(products + tables).toBe(changed)
    expect(bytesAfter / bytes.byteLength).toBeLessThan(share)
    const conversion = await convert(bytes, { quantize: 'int8', examples: await sampleTexts(model) })
    expect(conversion.file?.format).toBe('ort')
    for (const { cosine } of conversion.accuracy!) expect(cosine).toBeGreaterThan(0.998)
  })

  it.each(Object.entries(nothingToQuantise))(
    '%s has nothing to quantise, and says so',
    { timeout: 60_000 },
    async (model, note) => {
      expect((await optimised(model, 'onnx/model.onnx')).note).toMatch(note)
    },
  )
})
