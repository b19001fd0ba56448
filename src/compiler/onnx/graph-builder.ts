/**
 * Graphs made one operator at a time. Every method returns the name of what it made, so that code which builds a network reads
 * like the network; names that nobody chose are made unique against all that the graph has.
 */
import { type Dtype, dtypes, elementCount, type NumericDtype } from '#contracts/tensor.ts'
import type { OnnxAttribute, OnnxAttributeValue, OnnxDimension, OnnxGraph, OnnxModel, OnnxPort } from './model.ts'
import { modelBytes } from './write-model.ts'

/** Integers and lists of integers, texts, graphs; a float says so, because JavaScript has one kind of number. */
export type AttributeInput = number | readonly number[] | string | OnnxGraph | { float: number }

export interface NodeOptions {
  /** Names of what the node makes; made up if left out. */
  outputs?: readonly string[]
  attributes?: Readonly<Record<string, AttributeInput>>
  domain?: string
}

export interface ConstantOptions {
  dtype: NumericDtype
  shape: readonly number[]
  values: ArrayBufferView
}

/** Operators of Microsoft's domain are ORT's own. */
export const microsoft = 'com.microsoft'

export class GraphBuilder {
  readonly graph: OnnxGraph
  readonly #names: Set<string>

  /** Adds to `graph`, or to a new one. */
  constructor(graph: OnnxGraph = emptyGraph('graph')) {
    this.graph = graph
    this.#names = namesIn(graph)
  }

  input(name: string, dtype: Dtype, shape: readonly OnnxDimension[]): string {
    this.graph.inputs.push(port(name, dtype, shape))
    return this.#take(name)
  }

  /** Declares a value that nodes make as an output of the graph. */
  output(name: string, dtype: Dtype, shape: readonly OnnxDimension[]): string {
    this.graph.outputs.push(port(name, dtype, shape))
    return this.#take(name)
  }

  /** Adds weights; the bytes are not copied. @throws {RangeError} where they do not fill the shape. */
  constant(name: string, { dtype, shape, values }: ConstantOptions): string {
    const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength)
    const expected = elementCount(shape) * dtypes[dtype].bytes
    if (bytes.byteLength !== expected)
      throw new RangeError(`"${name}" has ${bytes.byteLength} bytes instead of ${expected}`)
    this.graph.initializers.push({ name, type: dtypes[dtype].onnx, shape, bytes, rest: [] })
    return this.#take(name)
  }

  /** A float32 scalar or list, stored once however often it is asked for. */
  floats(values: number | readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values
    return this.#shared('float32', typeof values === 'number' ? [] : [list.length], Float32Array.from(list))
  }

  /** An int64 scalar or list, stored once. */
  ints(values: number | readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values
    return this.#shared('int64', typeof values === 'number' ? [] : [list.length], BigInt64Array.from(list, BigInt))
  }

  /** A uint8 scalar, stored once. */
  byte(value: number): string {
    return this.#shared('uint8', [], Uint8Array.of(value))
  }

  /** Adds a node and returns the name of its first output. */
  add(
    operator: string,
    inputs: readonly string[],
    { outputs, attributes = {}, domain = '' }: NodeOptions = {},
  ): string {
    const made = outputs ?? [this.fresh(operator.toLowerCase())]
    for (const name of made) if (name !== '') this.#take(name)
    this.graph.nodes.push({
      name: `${made[0]}:${operator}`,
      operator,
      domain,
      inputs,
      outputs: made,
      attributes: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      rest: [],
    })
    return made[0]!
  }

  /** A name that nothing in the graph has. */
  fresh(base: string): string {
    let name = base
    for (let number = 1; this.#names.has(name); number++) name = `${base}_${number}`
    return this.#take(name)
  }

  /** The model around the graph. ONNX's operators are those of `opset`, and all of ORT's own may be used. */
  model({ opset = 17, irVersion = 8 } = {}): OnnxModel {
    const opsets = new Map([['', opset]])
    if (this.graph.nodes.some(({ domain }) => domain === microsoft)) opsets.set(microsoft, 1)
    return { irVersion, producer: 'glim', opsets, graph: this.graph, rest: [] }
  }

  /** The bytes of an `.onnx` file. */
  bytes(options?: { opset?: number; irVersion?: number }): Uint8Array<ArrayBuffer> {
    return modelBytes(this.model(options))
  }

  #shared(dtype: NumericDtype, shape: readonly number[], values: Float32Array | BigInt64Array | Uint8Array): string {
    const name = `glim.${dtype}${shape.length === 0 ? '' : '[]'}.${values.join('_')}`
    return this.graph.initializers.some((tensor) => tensor.name === name)
      ? name
      : this.constant(name, { dtype, shape, values })
  }

  #take(name: string): string {
    this.#names.add(name)
    return name
  }
}

export function graphBuilder(): GraphBuilder {
  return new GraphBuilder()
}

export function emptyGraph(name: string): OnnxGraph {
  return { name, nodes: [], initializers: [], inputs: [], outputs: [], values: [], rest: [] }
}

export function attribute(name: string, value: AttributeInput): OnnxAttribute {
  return { name, rest: [], ...attributeValue(value) }
}

function attributeValue(value: AttributeInput): OnnxAttributeValue {
  if (typeof value === 'number') return { kind: 'int', value: BigInt(value) }
  if (typeof value === 'string') return { kind: 'text', value: new TextEncoder().encode(value) }
  if ('float' in value) return { kind: 'float', value: value.float }
  if ('nodes' in value) return { kind: 'graph', value }
  return { kind: 'ints', value: value.map(BigInt) }
}

function port(name: string, dtype: Dtype, shape: readonly OnnxDimension[]): OnnxPort {
  return { name, tensor: { type: dtypes[dtype].onnx, shape }, rest: [] }
}

/** Names of a graph and of all graphs within it, which see the outer ones. */
function namesIn(graph: OnnxGraph): Set<string> {
  const names = new Set<string>()
  const visit = (each: OnnxGraph) => {
    for (const { name } of [...each.initializers, ...each.inputs, ...each.outputs]) names.add(name)
    for (const node of each.nodes) {
      for (const name of [...node.inputs, ...node.outputs]) names.add(name)
      for (const one of node.attributes) {
        if (one.kind === 'graph') visit(one.value)
        if (one.kind === 'graphs') one.value.forEach(visit)
      }
    }
  }
  visit(graph)
  return names
}
