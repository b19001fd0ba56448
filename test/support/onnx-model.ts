/**
 * Small ONNX models written as protobuf by hand, so that the end-to-end tests run without ../shared/models. Numbers are the
 * field numbers of onnx.proto; `document` is its length-delimited form, `integer` its varint.
 */
import { type Dtype, dtypes } from '#contracts/tensor.ts'

export interface GraphPort {
  name: string
  dtype: Dtype
  shape: readonly (number | string)[]
}

export interface GraphNode {
  operator: string
  inputs: readonly string[]
  outputs: readonly string[]
  attributes?: Readonly<Record<string, number>>
  domain?: string
}

export interface GraphWeights {
  name: string
  dtype: Dtype
  shape: readonly number[]
  bytes: Uint8Array
}

export interface Graph {
  nodes: readonly GraphNode[]
  inputs: readonly GraphPort[]
  outputs: readonly GraphPort[]
  weights?: readonly GraphWeights[]
}

/** The bytes of an `.onnx` file. */
export function onnxModel({ nodes, inputs, outputs, weights = [] }: Graph): Uint8Array {
  const graph = joined([
    ...nodes.map((node) => document(1, nodeOf(node))),
    text(2, 'graph'),
    ...weights.map((tensor) => document(5, weightsOf(tensor))),
    ...inputs.map((port) => document(11, portOf(port))),
    ...outputs.map((port) => document(12, portOf(port))),
  ])
  const operators = joined([text(1, ''), integer(2, 17)])
  return joined([integer(1, 8), document(8, operators), document(7, graph)])
}

/** `<output> = <input>` for each pair; a copy of whatever came. */
export function identityModel(ports: readonly GraphPort[], outputOf = (name: string) => `${name}_out`): Uint8Array {
  return onnxModel({
    nodes: ports.map(({ name }) => ({ operator: 'Identity', inputs: [name], outputs: [outputOf(name)] })),
    inputs: ports,
    outputs: ports.map((port) => ({ ...port, name: outputOf(port.name) })),
  })
}

/** `y = x · factor` over rows of two numbers. */
export function scaleModel(factor: number): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'Mul', inputs: ['x', 'factor'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['rows', 2] }],
    weights: [floats('factor', [1], [factor])],
  })
}

/** `y = x · W` with a square W of `side`² ones: a model that is as large as one likes and knows its answer. */
export function largeModel(side: number): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', side] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['rows', side] }],
    weights: [floats('W', [side, side], new Float32Array(side * side).fill(1))],
  })
}

export interface ModelFile {
  path: string
  bytes: Uint8Array
}

/** Words of the two text models below, by token id from 5. */
const words = ['hello', 'world', 'good', 'bad', 'cat', 'dog']
const vocabulary = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words]
const wordSize = 4

/** An embedder of four dimensions: every token has a vector of its own, the mean is the text's. */
export function embedderFiles(): ModelFile[] {
  const vectors = vocabulary.flatMap((_, id) => [1, id, id % 3, -(id % 2)])
  const graph = onnxModel({
    nodes: [{ operator: 'Gather', inputs: ['vectors', 'input_ids'], outputs: ['last_hidden_state'] }],
    inputs: [{ name: 'input_ids', dtype: 'int64', shape: ['rows', 'tokens'] }],
    outputs: [{ name: 'last_hidden_state', dtype: 'float32', shape: ['rows', 'tokens', wordSize] }],
    weights: [floats('vectors', [vocabulary.length, wordSize], vectors)],
  })
  return [
    { path: 'model.onnx', bytes: graph },
    ...tokenizerFiles(),
    json('config.json', { architectures: ['BertModel'] }),
  ]
}

/** A classifier with the labels `negative` and `positive`: "bad" and "good" speak for one, other words for neither. */
export function classifierFiles(): ModelFile[] {
  const votes = vocabulary.flatMap((word) => [word === 'bad' ? 8 : 0, word === 'good' ? 8 : 0])
  const graph = onnxModel({
    nodes: [
      { operator: 'Gather', inputs: ['votes', 'input_ids'], outputs: ['each'] },
      { operator: 'ReduceSum', inputs: ['each', 'axis'], outputs: ['logits'], attributes: { keepdims: 0 } },
    ],
    inputs: [{ name: 'input_ids', dtype: 'int64', shape: ['rows', 'tokens'] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['rows', 2] }],
    weights: [
      floats('votes', [vocabulary.length, 2], votes),
      { name: 'axis', dtype: 'int64', shape: [1], bytes: new Uint8Array(BigInt64Array.of(1n).buffer) },
    ],
  })
  const config = { architectures: ['BertForSequenceClassification'], id2label: { 0: 'negative', 1: 'positive' } }
  return [{ path: 'model.onnx', bytes: graph }, ...tokenizerFiles(), json('config.json', config)]
}

/** A reranker whose score is a hundredth of the sum of a pair's ids: its words count 1, 2, 3, and a separator 0. */
export function rerankerFiles(config: object): ModelFile[] {
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
      floats('factor', [1], [0.01]),
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
  return [{ path: 'model.onnx', bytes: graph }, json('tokenizer.json', tokenizer), json('config.json', config)]
}

function tokenizerFiles(): ModelFile[] {
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: { type: 'Lowercase' },
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
    },
  }
  return [
    json('tokenizer.json', tokenizer),
    json('tokenizer_config.json', { pad_token: '[PAD]', model_max_length: 64 }),
  ]
}

export function json(path: string, value: unknown): ModelFile {
  return { path, bytes: new TextEncoder().encode(JSON.stringify(value)) }
}

function floats(name: string, shape: readonly number[], values: ArrayLike<number>): GraphWeights {
  return { name, dtype: 'float32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) }
}

function nodeOf({ operator, inputs, outputs, attributes = {}, domain = '' }: GraphNode): Uint8Array {
  return joined([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) =>
      document(5, joined([text(1, name), integer(3, value), integer(20, 2)])),
    ),
    text(7, domain),
  ])
}

function portOf({ name, dtype, shape }: GraphPort): Uint8Array {
  const sizes = shape.map((size) => document(1, typeof size === 'number' ? integer(1, size) : text(2, size)))
  const tensor = joined([integer(1, dtypes[dtype].onnx), document(2, joined(sizes))])
  return joined([text(1, name), document(2, document(1, tensor))])
}

function weightsOf({ name, dtype, shape, bytes }: GraphWeights): Uint8Array {
  return joined([
    ...shape.map((size) => integer(1, size)),
    integer(2, dtypes[dtype].onnx),
    text(8, name),
    document(9, bytes),
  ])
}

function text(field: number, value: string): Uint8Array {
  return document(field, new TextEncoder().encode(value))
}

function document(field: number, bytes: Uint8Array): Uint8Array {
  return joined([varint(field * 8 + 2), varint(bytes.byteLength), bytes])
}

function integer(field: number, value: number): Uint8Array {
  return joined([varint(field * 8), varint(value)])
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Uint8Array.from([...bytes, rest])
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}
