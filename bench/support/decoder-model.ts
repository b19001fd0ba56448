/**
 * Llama-like decoders with seeded weights and last-token logits, as folders that glim imports and transformers.js loads. Attention
 * is ORT's GroupQueryAttention, which appends to its cache in place.
 */
import { type GraphBuilder, graphBuilder, microsoft } from '#src/compiler/onnx/graph-builder.ts'
import { modelBytes } from '#src/compiler/onnx/write-model.ts'
import { int8, json, type ModelFile, SeededWeights, tokenizerFiles } from './seeded-weights.ts'

export interface DecoderShape {
  layers: number
  width: number
  heads: number
  /** Heads of keys and values. */
  kvHeads: number
  headWidth: number
  inner: number
  vocabulary: number
  positions: number
  /** Whether the last product's matrix is the embedding table. */
  isTied: boolean
}

export interface DecoderOptions {
  weights: 'fp32' | 'q8row'
  shape?: DecoderShape
  seed?: number
}

/** 23 million weights that each token reads. */
export const decoderShape = {
  layers: 6, width: 384, heads: 6, kvHeads: 6, headWidth: 64, inner: 1_024, vocabulary: 32_000, positions: 2_048, isTied: false,
} as const satisfies DecoderShape // biome-ignore format: a table

/** SmolLM2-135M. */
export const smolShape = {
  layers: 30, width: 576, heads: 9, kvHeads: 3, headWidth: 64, inner: 1_536, vocabulary: 49_152, positions: 2_048, isTied: true,
} as const satisfies DecoderShape // biome-ignore format: a table

/** Weights of products, all of which each token reads; in int8 as many bytes. */
export function weightsPerToken({ layers, width, heads, kvHeads, headWidth, inner, vocabulary }: DecoderShape): number {
  return layers * width * (2 * (heads + kvHeads) * headWidth + 3 * inner) + width * vocabulary
}

/** The files of the model; the graph is `onnx/model.onnx`, or `onnx/model_quantized.onnx` for q8row. */
export function decoderModel({ weights, shape = decoderShape, seed = 0 }: DecoderOptions): ModelFile[] {
  const model = decoderGraph(shape, seed).model()
  const { layers, width, heads, kvHeads, headWidth, inner, vocabulary, positions, isTied } = shape
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
      num_key_value_heads: kvHeads,
      head_dim: headWidth,
      intermediate_size: inner,
      vocab_size: vocabulary,
      tie_word_embeddings: isTied,
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
function decoderGraph(shape: DecoderShape, seed: number): GraphBuilder {
  const { layers, width, heads, kvHeads, headWidth, inner, vocabulary, isTied } = shape
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
  const { cos, sin } = rotaryTables(graph, shape)
  const int32 = { attributes: { to: 6 } }
  const lengths = graph.add('ReduceSum', [mask, graph.ints([1])], { attributes: { keepdims: 0 } })
  const lasts = graph.add('Cast', [graph.add('Sub', [lengths, graph.ints([1])])], int32)
  const total = graph.add('Cast', [graph.add('Gather', [graph.add('Shape', [mask]), graph.ints(1)])], int32)

  const table = matrix('embeddings.words', vocabulary, width)
  let x = graph.add('Gather', [table, ids])
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string) => `layer.${layer}.${part}`
    const cache = ['key', 'value'].map((part) => {
      graph.output(`present.${layer}.${part}`, 'float32', ['batch_size', kvHeads, 'total_sequence_length', headWidth])
      return graph.input(`past_key_values.${layer}.${part}`, 'float32', [
        'batch_size',
        kvHeads,
        'past_sequence_length',
        headWidth,
      ])
    })
    const h = norm(x, name('attention.norm'))
    const [query, keys] = [heads * headWidth, kvHeads * headWidth]
    const parts = [linear(h, name('query'), width, query), linear(h, name('key'), width, keys), linear(h, name('value'), width, keys)] // biome-ignore format: one line reads better
    const mixed = graph.add('GroupQueryAttention', [...parts, ...cache, lasts, total, cos, sin], {
      domain: microsoft,
      outputs: [graph.fresh(name('mixed')), `present.${layer}.key`, `present.${layer}.value`],
      attributes: { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, scale: { float: 1 / Math.sqrt(headWidth) } },
    })
    x = graph.add('Add', [x, linear(mixed, name('output'), query, width)])
    const g = norm(x, name('norm'))
    const gate = linear(g, name('gate'), width, inner)
    const up = linear(g, name('up'), width, inner)
    const silu = graph.add('Mul', [gate, graph.add('Sigmoid', [gate])])
    x = graph.add('Add', [x, linear(graph.add('Mul', [silu, up]), name('down'), inner, width)])
  }
  // One position before the vocabulary: a prompt must not pay for the logits of all its tokens.
  const last = graph.add('Slice', [x, graph.ints([-1]), graph.ints([2 ** 31 - 1]), graph.ints([1])])
  const normal = norm(last, 'norm')
  if (isTied)
    graph.add('MatMul', [normal, graph.add('Transpose', [table], { attributes: { perm: [1, 0] } })], {
      outputs: ['logits'],
    })
  else linear(normal, 'head', width, vocabulary, ['logits'])
  return graph
}

function rotaryTables(graph: GraphBuilder, { headWidth, positions }: DecoderShape): { cos: string; sin: string } {
  const half = headWidth / 2
  const table = (name: string, of: (angle: number) => number) => {
    const values = Float32Array.from({ length: positions * half }, (_, at) =>
      of(Math.floor(at / half) / 10_000 ** ((at % half) / half)),
    )
    return graph.constant(name, { dtype: 'float32', shape: [positions, half], values })
  }
  return { cos: table('rotary.cos', Math.cos), sin: table('rotary.sin', Math.sin) }
}
