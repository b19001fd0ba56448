/**
 * Plain attention with a growing cache (Concat with the past, MatMul, mask, Softmax, MatMul) into ORT's GroupQueryAttention, which
 * appends to the cache in place and takes rows of different lengths in one step. Rotation of queries and keys stays outside.
 *
 * The pattern is found by its ends, past inputs and present outputs, and whatever lies between is only followed; that the result is
 * the same attention is shown by running both (`grouped-attention.ts`). What the new operator cannot express is a mask other than
 * "causal, and no padding on the left"; windows and biases show in the comparison.
 */
import { dtypes } from '#contracts/tensor.ts'
import { GraphBuilder, microsoft } from '../onnx/graph-builder.ts'
import { intAttribute, intsAttribute, type OnnxGraph, type OnnxModel, type OnnxNode } from '../onnx/model.ts'
import { type Constants, constantMatrices, readNames, withoutUnread } from './constants.ts'

export interface Grouped {
  model: OnnxModel
  layers: number
}

interface Layer {
  query: string
  key: Cache
  value: Cache
  scale: number
  heads: number
  /** What the attention's answer, `[rows, tokens, heads · size]`, is called. */
  output: string
  replaced: ReadonlySet<OnnxNode>
}

/** Where one side of the cache grows. */
interface Cache {
  concat: OnnxNode
  past: string
  fresh: string
  present: string
  heads: number
  size: number
}

/** Operators that hand a cache on to the product: views, repetition of grouped heads, the turn for the product. */
const passing = new Set(['Transpose', 'Gather', 'Unsqueeze', 'Expand', 'Reshape', 'Identity'])
const headsLast = [0, 2, 1, 3]
/** Between Softmax and its operands lie a few nodes; more than this is something else, or a circle. */
const mostSteps = 12
/** Axes of ReduceSum are an input from here on. */
const axesAsInput = 13

/** The model with grouped attention in every layer, or the reason why it has none; the given model is not changed. */
export function groupAttention(model: OnnxModel): Grouped | string {
  const mask = model.graph.inputs.find(({ name }) => name === 'attention_mask')
  if (mask?.tensor?.type !== dtypes.int64.onnx) return 'the graph has no input attention_mask of int64'
  const search = new Search(model)
  const caches = model.graph.inputs.filter(({ name }) => name.startsWith('past_key_values.')).length
  const layers = model.graph.nodes.flatMap((node) => (node.operator === 'Softmax' ? search.layerAround(node) : []))
  if (layers.length === 0) return 'the graph has no attention over a cache of its own'
  if (2 * layers.length !== caches)
    return `attention was found in ${layers.length} layers, and the graph has ${caches} inputs for its cache`
  return { model: withGroupedAttention(model, layers), layers: layers.length }
}

class Search {
  readonly #graph: OnnxGraph
  readonly #constants: Constants
  readonly #producers: ReadonlyMap<string, OnnxNode>
  readonly #readers: ReadonlyMap<string, readonly OnnxNode[]>

  constructor(model: OnnxModel) {
    this.#graph = model.graph
    this.#constants = constantMatrices(model)
    this.#producers = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
    const reads = model.graph.nodes.flatMap((node) => node.inputs.map((name) => ({ name, node })))
    const readers = Map.groupBy(reads, ({ name }) => name)
    this.#readers = new Map([...readers].map(([name, each]) => [name, each.map(({ node }) => node)]))
  }

  layerAround(softmax: OnnxNode): Layer[] {
    const product = this.#readersOf(softmax.outputs[0]!).find(({ operator }) => operator === 'MatMul')
    const value = product && this.#cacheBehind(product.inputs[1]!)
    const scores = this.#scoresBehind(softmax.inputs[0]!, 1)
    if (!product || !value || !scores) return []
    const turn = this.#readersOf(product.outputs[0]!).find((node) => perm(node) === headsLast.join())
    const joined = turn && this.#readersOf(turn.outputs[0]!).find(({ operator }) => operator === 'Reshape')
    const output = joined?.outputs[0]
    const inputs = output === undefined ? undefined : this.#projectedWidth(output)
    if (!joined || output === undefined || inputs === undefined) return []
    const heads = inputs / value.cache.size
    const { cache: key } = scores
    if (!Number.isInteger(heads) || heads % key.heads !== 0 || key.heads !== value.cache.heads) return []
    const replaced = new Set([joined, key.concat, value.cache.concat])
    const scale = scores.scale * value.scale
    return [{ query: scores.query, key, value: value.cache, scale, heads, output, replaced }]
  }

  /** From the input of Softmax through mask and scale to the product of queries and keys. */
  #scoresBehind(name: string, scale: number, steps = 0): { query: string; cache: Cache; scale: number } | undefined {
    const node = this.#producers.get(name)
    if (!node || steps === mostSteps) return undefined
    const behind = (input: string, factor = 1) => this.#scoresBehind(input, scale * factor, steps + 1)
    const [left, right] = node.inputs as [string, string]
    if (node.operator === 'MatMul') {
      const found = this.#cacheBehind(right)
      return found && { query: left, cache: found.cache, scale: scale * found.scale }
    }
    if (node.operator === 'Where') return behind(right)
    const factor = this.#scalar(right)
    if (node.operator === 'Mul' && factor !== undefined) return behind(left, factor)
    if (node.operator === 'Div' && factor !== undefined) return behind(left, 1 / factor)
    if (node.operator === 'Add') return behind(left) ?? behind(right)
    return undefined
  }

  /** From an operand of a product to the Concat that grows a cache; `scale` is what the values are multiplied by on the way. */
  #cacheBehind(name: string): { cache: Cache; scale: number } | undefined {
    let scale = 1
    let at = name
    for (let steps = 0; steps < mostSteps; steps++) {
      const node = this.#producers.get(at)
      if (!node) return undefined
      const cache = this.#cacheOf(node)
      if (cache) return { cache, scale }
      const factor = node.operator === 'Mul' ? this.#scalar(node.inputs[1]!) : undefined
      if (factor === undefined && !passing.has(node.operator)) return undefined
      scale *= factor ?? 1
      at = node.inputs[0]!
    }
    return undefined
  }

  #cacheOf(node: OnnxNode): Cache | undefined {
    const [past, fresh, ...more] = node.inputs
    const [present] = node.outputs
    const axis = intAttribute(node, 'axis', 0)
    const shape = this.#graph.inputs.find(({ name }) => name === past)?.tensor?.shape
    if (node.operator !== 'Concat' || more.length > 0 || (axis !== 2 && axis !== -2)) return undefined
    const isOutput = this.#graph.outputs.some(({ name }) => name === present)
    const [heads, size] = [shape?.[1], shape?.[3]]
    if (!isOutput || typeof heads !== 'number' || typeof size !== 'number') return undefined
    return { concat: node, past: past!, fresh: fresh!, present: present!, heads, size }
  }

  /** How many numbers per token the layer's last product reads. */
  #projectedWidth(name: string): number | undefined {
    return this.#readersOf(name)
      .map(({ operator, inputs }) => (operator === 'MatMul' ? this.#constants.get(inputs[1]!)?.rows : undefined))
      .find((rows) => rows !== undefined)
  }

  #readersOf(name: string): readonly OnnxNode[] {
    return this.#readers.get(name) ?? []
  }

  /** The value of a constant of one float32. */
  #scalar(name: string): number | undefined {
    const value = this.#producers.get(name)?.attributes.find((attribute) => attribute.name === 'value')
    const held = this.#graph.initializers.find((each) => each.name === name)
    const tensor = held ?? (value?.kind === 'tensor' ? value.value : undefined)
    if (tensor?.type !== dtypes.float32.onnx || tensor.bytes.byteLength !== 4) return undefined
    return new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset, 4).getFloat32(0, true)
  }
}

function withGroupedAttention(model: OnnxModel, layers: readonly Layer[]): OnnxModel {
  const replaced = new Set(layers.flatMap((layer) => [...layer.replaced]))
  const graph = new GraphBuilder({ ...model.graph, initializers: [...model.graph.initializers] })
  graph.graph.nodes = model.graph.nodes.filter((node) => !replaced.has(node))
  const { lasts, total } = lengths(graph, model.opsets.get('') ?? 1)
  for (const { query, key, value, scale, heads, output } of layers) {
    const flat = (name: string, width: number) => {
      const turned = graph.add('Transpose', [name], { attributes: { perm: headsLast } })
      return graph.add('Reshape', [turned, graph.ints([0, 0, width])])
    }
    const [q, k, v] = [
      flat(query, heads * key.size),
      flat(key.fresh, key.heads * key.size),
      flat(value.fresh, value.heads * value.size),
    ]
    graph.add('GroupQueryAttention', [q, k, v, key.past, value.past, lasts, total], {
      domain: microsoft,
      outputs: [output, key.present, value.present],
      attributes: { num_heads: heads, kv_num_heads: key.heads, scale: { float: scale } },
    })
  }
  const nodes = inOrder(graph.graph.nodes)
  const everything = () => true
  return {
    ...model,
    opsets: new Map([...model.opsets, [microsoft, 1]]),
    graph: withoutUnread({ ...graph.graph, nodes }, everything),
  }
}

/** What the operator wants to know of a batch: the place of each row's last token, and the longest row. */
function lengths(graph: GraphBuilder, opset: number): { lasts: string; total: string } {
  const int32 = { attributes: { to: dtypes.int32.onnx } }
  const sums =
    opset >= axesAsInput
      ? graph.add('ReduceSum', ['attention_mask', graph.ints([1])], { attributes: { keepdims: 0 } })
      : graph.add('ReduceSum', ['attention_mask'], { attributes: { axes: [1], keepdims: 0 } })
  const lasts = graph.add('Cast', [graph.add('Sub', [sums, graph.ints([1])])], int32)
  const longest = graph.add('Gather', [graph.add('Shape', ['attention_mask']), graph.ints(1)])
  return { lasts, total: graph.add('Cast', [longest], int32) }
}

/** The nodes with each behind those whose values it reads, otherwise in the order they came. */
function inOrder(nodes: readonly OnnxNode[]): OnnxNode[] {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const begun = new Set<OnnxNode>()
  const sorted = new Set<OnnxNode>()
  for (const first of nodes) {
    const stack = [first]
    while (stack.length > 0) {
      const node = stack.at(-1)!
      const behind = begun.has(node) ? [] : readNames(node).flatMap((name) => producers.get(name) ?? [])
      begun.add(node)
      const waiting = behind.filter((each) => !begun.has(each))
      if (waiting.length > 0) stack.push(...waiting)
      else {
        stack.pop()
        sorted.add(node)
      }
    }
  }
  return [...sorted]
}

function perm(node: OnnxNode): string | undefined {
  return node.operator === 'Transpose' ? intsAttribute(node, 'perm')?.join() : undefined
}
