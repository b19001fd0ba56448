/**
 * A text encoder in the shape of MiniLM-L6 (6 layers of 384, 12 heads, 30,522 words) with seeded weights, as a folder that glim
 * imports and transformers.js loads. Its embeddings mean nothing; its work is that of the real one.
 */
import { type GraphBuilder, graphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import { modelBytes } from '#src/compiler/onnx/write-model.ts'
import { int8, json, type ModelFile, SeededWeights, tokenizerFiles } from './seeded-weights.ts'

export interface EncoderOptions {
  weights: 'fp32' | 'q8row'
  layers?: number
  seed?: number
}

export const encoderShape = { width: 384, heads: 12, inner: 1_536, vocabulary: 30_522, positions: 512 } as const
const { width, heads, inner, vocabulary, positions } = encoderShape
const headWidth = width / heads

/** The files of the model; the graph is `onnx/model.onnx`, or `onnx/model_quantized.onnx` for q8row. */
export function encoderModel({ weights, layers = 6, seed = 0 }: EncoderOptions): ModelFile[] {
  const model = encoderGraph(layers, seed).model()
  const graph =
    weights === 'fp32'
      ? { path: 'onnx/model.onnx', bytes: modelBytes(model) }
      : { path: 'onnx/model_quantized.onnx', bytes: modelBytes(int8(model)) }
  return [
    graph,
    ...tokenizerFiles({ vocabulary, maxTokens: positions, hasFrame: true }),
    json('config.json', {
      architectures: ['BertModel'],
      model_type: 'bert',
      hidden_size: width,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      intermediate_size: inner,
      vocab_size: vocabulary,
      max_position_embeddings: positions,
      type_vocab_size: 2,
      pad_token_id: 0,
    }),
    json('1_Pooling/config.json', { word_embedding_dimension: width, pooling_mode_mean_tokens: true }),
  ]
}

/** What torch exports: three inputs, `last_hidden_state`. */
function encoderGraph(layers: number, seed: number): GraphBuilder {
  const graph = graphBuilder()
  const random = new SeededWeights(seed)
  const matrix = (name: string, rows: number, columns: number) =>
    graph.constant(name, { dtype: 'float32', shape: [rows, columns], values: random.floats(rows * columns) })
  const linear = (x: string, name: string, from: number, to: number) => {
    const bias = graph.constant(`${name}.bias`, { dtype: 'float32', shape: [to], values: random.floats(to) })
    return graph.add('Add', [graph.add('MatMul', [x, matrix(`${name}.weight`, from, to)]), bias])
  }
  const norm = (x: string, name: string, options: { outputs?: string[] } = {}) => {
    const list = (part: string, value: number) =>
      graph.constant(`${name}.${part}`, {
        dtype: 'float32',
        shape: [width],
        values: new Float32Array(width).fill(value),
      })
    const inputs = [x, list('weight', 1), list('bias', 0)]
    return graph.add('LayerNormalization', inputs, { attributes: { axis: -1, epsilon: { float: 1e-12 } }, ...options })
  }

  const free = ['batch_size', 'sequence_length'] as const
  const [ids, mask, types] = ['input_ids', 'attention_mask', 'token_type_ids'].map((name) =>
    graph.input(name, 'int64', free),
  ) as [string, string, string]
  graph.output('last_hidden_state', 'float32', [...free, width])

  const length = graph.add('Gather', [graph.add('Shape', [ids]), graph.ints([1])])
  const order = graph.constant('positions', {
    dtype: 'int64',
    shape: [1, positions],
    values: BigInt64Array.from({ length: positions }, (_, at) => BigInt(at)),
  })
  const places = graph.add('Slice', [order, graph.ints([0]), length, graph.ints([1])])
  const words = graph.add('Gather', [matrix('embeddings.words', vocabulary, width), ids])
  const segments = graph.add('Gather', [matrix('embeddings.segments', 2, width), types])
  const located = graph.add('Gather', [matrix('embeddings.positions', positions, width), places])
  let x = norm(graph.add('Add', [graph.add('Add', [words, segments]), located]), 'embeddings.norm')

  const wide = graph.add('Unsqueeze', [mask, graph.ints([1, 2])])
  const hidden = graph.add('Sub', [graph.floats(1), graph.add('Cast', [wide], { attributes: { to: 1 } })])
  const penalty = graph.add('Mul', [hidden, graph.floats(-10_000)])
  const split = graph.ints([0, 0, heads, headWidth])
  const toHeads = (each: string, perm: readonly number[]) =>
    graph.add('Transpose', [graph.add('Reshape', [each, split])], { attributes: { perm } })

  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `layer.${layer}.${part}`
    const query = toHeads(linear(x, name('query'), width, width), [0, 2, 1, 3])
    const key = toHeads(linear(x, name('key'), width, width), [0, 2, 3, 1])
    const value = toHeads(linear(x, name('value'), width, width), [0, 2, 1, 3])
    const scores = graph.add('Div', [graph.add('MatMul', [query, key]), graph.floats(Math.sqrt(headWidth))])
    const shares = graph.add('Softmax', [graph.add('Add', [scores, penalty])], { attributes: { axis: -1 } })
    const mixed = graph.add('Transpose', [graph.add('MatMul', [shares, value])], { attributes: { perm: [0, 2, 1, 3] } })
    const joined = graph.add('Reshape', [mixed, graph.ints([0, 0, width])])
    x = norm(graph.add('Add', [linear(joined, name('output'), width, width), x]), name('attention.norm'))
    const wider = linear(x, name('inner'), width, inner)
    const erf = graph.add('Erf', [graph.add('Div', [wider, graph.floats(Math.SQRT2)])])
    const gelu = graph.add('Mul', [
      graph.add('Mul', [wider, graph.add('Add', [erf, graph.floats(1)])]),
      graph.floats(0.5),
    ])
    const last = layer === layers - 1 ? { outputs: ['last_hidden_state'] } : {}
    x = norm(graph.add('Add', [linear(gelu, name('outer'), inner, width), x]), name('norm'), last)
  }
  return graph
}
