/**
 * A Llama-like decoder of 6 layers of 384 (6 heads, 32,000 words) with seeded weights and last-token logits, as a folder that
 * glim imports and transformers.js loads. Attention is ORT's GroupQueryAttention, which appends to its cache in place.
 */
import { type GraphBuilder, graphBuilder, microsoft } from '#src/compiler/onnx/graph-builder.ts'
import { modelBytes } from '#src/compiler/onnx/write-model.ts'
import { int8, json, type ModelFile, SeededWeights, tokenizerFiles } from './seeded-weights.ts'

export interface DecoderOptions {
  weights: 'fp32' | 'q8row'
  layers?: number
  seed?: number
}

export const decoderShape = { width: 384, heads: 6, inner: 1_024, vocabulary: 32_000, positions: 2_048 } as const
const { width, heads, inner, vocabulary, positions } = decoderShape
const headWidth = width / heads

/** The files of the model; the graph is `onnx/model.onnx`, or `onnx/model_quantized.onnx` for q8row. */
export function decoderModel({ weights, layers = 6, seed = 0 }: DecoderOptions): ModelFile[] {
  const model = decoderGraph(layers, seed).model()
  const graph =
    weights === 'fp32'
      ? { path: 'onnx/model.onnx', bytes: modelBytes(model) }
      : { path: 'onnx/model_quantized.onnx', bytes: modelBytes(int8(model)) }
  return [
    graph,
    ...tokenizerFiles({ vocabulary, maxTokens: positions, hasFrame: false }),
    json('config.json', {
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_size: width,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      head_dim: headWidth,
      intermediate_size: inner,
      vocab_size: vocabulary,
      max_position_embeddings: positions,
      hidden_act: 'silu',
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      bos_token_id: 2,
      eos_token_id: 3,
      pad_token_id: 0,
    }),
    json('generation_config.json', { bos_token_id: 2, eos_token_id: 3, pad_token_id: 0 }),
  ]
}

/** Inputs `input_ids`, `attention_mask`, `past_key_values.N.key|value`; outputs `logits` of one token and `present.N.key|value`. */
function decoderGraph(layers: number, seed: number): GraphBuilder {
  const graph = graphBuilder()
  const random = new SeededWeights(seed)
  const matrix = (name: string, rows: number, columns: number) =>
    graph.constant(name, { dtype: 'float32', shape: [rows, columns], values: random.floats(rows * columns) })
  const linear = (x: string, name: string, from: number, to: number, outputs?: string[]) =>
    graph.add('MatMul', [x, matrix(`${name}.weight`, from, to)], outputs ? { outputs } : {})
  const norm = (x: string, name: string) => {
    const ones = { dtype: 'float32', shape: [width], values: new Float32Array(width).fill(1) } as const
    return graph.add('SimplifiedLayerNormalization', [x, graph.constant(`${name}.weight`, ones)], {
      attributes: { axis: -1, epsilon: { float: 1e-5 }, stash_type: 1 },
    })
  }

  const ids = graph.input('input_ids', 'int64', ['batch_size', 'sequence_length'])
  const mask = graph.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length'])
  graph.output('logits', 'float32', ['batch_size', 1, vocabulary])
  const { cos, sin } = rotaryTables(graph)
  const int32 = { attributes: { to: 6 } }
  const lengths = graph.add('ReduceSum', [mask, graph.ints([1])], { attributes: { keepdims: 0 } })
  const lasts = graph.add('Cast', [graph.add('Sub', [lengths, graph.ints([1])])], int32)
  const total = graph.add('Cast', [graph.add('Gather', [graph.add('Shape', [mask]), graph.ints(1)])], int32)

  let x = graph.add('Gather', [matrix('embeddings.words', vocabulary, width), ids])
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `layer.${layer}.${part}`
    const cache = ['key', 'value'].map((part) => {
      graph.output(`present.${layer}.${part}`, 'float32', ['batch_size', heads, 'total_sequence_length', headWidth])
      return graph.input(`past_key_values.${layer}.${part}`, 'float32', [
        'batch_size',
        heads,
        'past_sequence_length',
        headWidth,
      ])
    })
    const h = norm(x, name('attention.norm'))
    const parts = ['query', 'key', 'value'].map((part) => linear(h, name(part), width, width))
    const mixed = graph.add('GroupQueryAttention', [...parts, ...cache, lasts, total, cos, sin], {
      domain: microsoft,
      outputs: [graph.fresh(name('mixed')), `present.${layer}.key`, `present.${layer}.value`],
      attributes: { num_heads: heads, kv_num_heads: heads, do_rotary: 1, scale: { float: 1 / Math.sqrt(headWidth) } },
    })
    x = graph.add('Add', [x, linear(mixed, name('output'), width, width)])
    const g = norm(x, name('norm'))
    const gate = linear(g, name('gate'), width, inner)
    const up = linear(g, name('up'), width, inner)
    const silu = graph.add('Mul', [gate, graph.add('Sigmoid', [gate])])
    x = graph.add('Add', [x, linear(graph.add('Mul', [silu, up]), name('down'), inner, width)])
  }
  // One position before the vocabulary: a prompt must not pay for the logits of all its tokens.
  const last = graph.add('Slice', [x, graph.ints([-1]), graph.ints([2 ** 31 - 1]), graph.ints([1])])
  linear(norm(last, 'norm'), 'head', width, vocabulary, ['logits'])
  return graph
}

function rotaryTables(graph: GraphBuilder): { cos: string; sin: string } {
  const half = headWidth / 2
  const table = (name: string, of: (angle: number) => number) => {
    const values = Float32Array.from({ length: positions * half }, (_, at) =>
      of(Math.floor(at / half) / 10_000 ** ((at % half) / half)),
    )
    return graph.constant(name, { dtype: 'float32', shape: [positions, half], values })
  }
  return { cos: table('rotary.cos', Math.cos), sin: table('rotary.sin', Math.sin) }
}
