/**
 * An ONNX file's bytes into plain objects. Files come from anywhere, so nesting and the number of objects are bounded, and what
 * is not understood is either kept as it is (`rest`) or refused with its place.
 */
import { tooLarge } from '#contracts/errors.ts'
import type {
  OnnxAttribute,
  OnnxAttributeValue,
  OnnxDimension,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxPort,
  OnnxTensor,
} from './model.ts'
import { checkSize, readTensor } from './read-tensor.ts'
import { exactly, fieldsOf, integerOf, integersOf, notOnnx, payloadOf, textOf, type WireField } from './wire.ts'

/** Graphs within graphs (`If`, `Loop`, `Scan`). */
const deepest = 16
/** Nodes, tensors, ports and attributes of a whole model; the largest exports have some ten thousand. */
const mostObjects = 500_000
/** Numbers and texts in the list of one attribute. */
const mostListed = 4_000_000
/** Protobuf's own bound: what reads ONNX files elsewhere refuses larger ones. */
const mostModelBytes = 2 ** 31 - 1

export interface ReadModelOptions {
  /** The files of weights beside the model, by the name that it uses. */
  external?: ReadonlyMap<string, Uint8Array>
}

/**
 * Reads a model; tensors are views of `bytes`, and of the external files.
 *
 * @throws {ServingError} 400 naming what is wrong, 413 for a model beyond protobuf's 2 GiB.
 */
export function readModel(bytes: Uint8Array, { external }: ReadModelOptions = {}): OnnxModel {
  if (bytes.byteLength > mostModelBytes) throw tooLarge('An ONNX model', bytes.byteLength, mostModelBytes)
  const reading = new Reading(external)
  const rest: Uint8Array[] = []
  const opsets = new Map<string, number>()
  let [irVersion, producer] = [0, '']
  let graph: OnnxGraph | undefined
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) irVersion = integerOf(field, 'the IR version')
    else if (field.number === 2) producer = textOf(field, 'the producer')
    else if (field.number === 8) readOpset(payloadOf(field, 'an operator set'), opsets)
    else if (field.number === 7) {
      if (graph) throw notOnnx('it holds two graphs')
      graph = reading.graph(payloadOf(field, 'the graph'), 0)
    } else rest.push(field.raw)
  }
  if (!graph) throw notOnnx('it holds no graph')
  return { irVersion, producer, opsets, graph, rest }
}

/** One pass over a model, with the count of what it has made. */
class Reading {
  #objects = 0
  readonly #external: ReadonlyMap<string, Uint8Array> | undefined

  constructor(external: ReadonlyMap<string, Uint8Array> | undefined) {
    this.#external = external
  }

  graph(bytes: Uint8Array, depth: number): OnnxGraph {
    if (depth > deepest) throw notOnnx(`graphs are nested deeper than ${deepest}`)
    const graph: OnnxGraph = { name: '', nodes: [], initializers: [], inputs: [], outputs: [], values: [], rest: [] }
    const rest: Uint8Array[] = []
    for (const field of fieldsOf(bytes)) {
      this.#count()
      if (field.number === 1) graph.nodes.push(this.#node(payloadOf(field, 'a node'), depth))
      else if (field.number === 2) graph.name = textOf(field, "the graph's name")
      else if (field.number === 5) graph.initializers.push(this.#tensor(field))
      else if (field.number === 11) graph.inputs.push(readPort(payloadOf(field, 'an input')))
      else if (field.number === 12) graph.outputs.push(readPort(payloadOf(field, 'an output')))
      else if (field.number === 13) graph.values.push(readPort(payloadOf(field, 'a value')))
      else rest.push(field.raw)
    }
    graph.rest = rest
    return graph
  }

  #node(bytes: Uint8Array, depth: number): OnnxNode {
    const [inputs, outputs, rest]: [string[], string[], Uint8Array[]] = [[], [], []]
    const attributes: OnnxAttribute[] = []
    const node = { name: '', operator: '', domain: '' }
    for (const field of fieldsOf(bytes)) {
      this.#count()
      if (field.number === 1) inputs.push(textOf(field, "a node's input"))
      else if (field.number === 2) outputs.push(textOf(field, "a node's output"))
      else if (field.number === 3) node.name = textOf(field, "a node's name")
      else if (field.number === 4) node.operator = textOf(field, "a node's operator")
      else if (field.number === 5) attributes.push(this.#attribute(payloadOf(field, 'an attribute'), depth))
      else if (field.number === 7) node.domain = textOf(field, "a node's domain")
      else rest.push(field.raw)
    }
    // The default set has two names; one is enough for whoever compares.
    if (node.domain === 'ai.onnx') node.domain = ''
    return { ...node, inputs, outputs, attributes, rest }
  }

  #attribute(bytes: Uint8Array, depth: number): OnnxAttribute {
    const fields = [...this.#counted(fieldsOf(bytes))]
    const name = fields.findLast(({ number }) => number === 1)
    const kind = fields.findLast(({ number }) => number === 20)
    const [field, read] = forms[kind ? integerOf(kind, 'the type of an attribute') : formOf(fields)] ?? [0, undefined]
    const value = read?.(
      fields.filter(({ number }) => number === field),
      { tensor: (each) => this.#tensor(each), graph: (each) => this.graph(payloadOf(each, 'a graph'), depth + 1) },
    )
    const known = new Set(value ? [1, 20, field] : [1])
    return {
      name: name ? textOf(name, 'the name of an attribute') : '',
      ...(value ?? { kind: 'other' }),
      rest: fields.filter(({ number }) => !known.has(number)).map(({ raw }) => raw),
    }
  }

  #tensor(field: WireField): OnnxTensor {
    const { external, ...tensor } = readTensor(payloadOf(field, 'a tensor'))
    if (!external) return tensor
    const file = this.#external?.get(external.location)
    if (!file) return { ...tensor, external }
    const { offset, length = file.byteLength - offset } = external
    if (offset + length > file.byteLength) {
      throw notOnnx(
        `the weights "${tensor.name}" lie at ${offset} to ${offset + length} of ${external.location}, which has ${file.byteLength} bytes`,
      )
    }
    checkSize(tensor, length)
    return { ...tensor, bytes: file.subarray(offset, offset + length) }
  }

  *#counted<T>(each: Iterable<T>): Generator<T> {
    for (const one of each) {
      this.#count()
      yield one
    }
  }

  #count(): void {
    this.#objects += 1
    if (this.#objects > mostObjects) throw notOnnx(`it has more than ${mostObjects} nodes, tensors and names`)
  }
}

interface Nested {
  tensor(field: WireField): OnnxTensor
  graph(field: WireField): OnnxGraph
}

type Form = (fields: readonly WireField[], nested: Nested) => OnnxAttributeValue | undefined

/** By the number of `AttributeProto.AttributeType`: the field that holds the value, and how. */
const forms: Readonly<Record<number, readonly [number, Form]>> = {
  1: [2, (fields) => ({ kind: 'float', value: floatsOf(fields)[0] ?? 0 })],
  2: [3, (fields) => ({ kind: 'int', value: intsOf(fields).at(-1) ?? 0n })],
  3: [
    4,
    (fields) => ({ kind: 'text', value: fields.length > 0 ? payloadOf(fields.at(-1)!, 'a text') : new Uint8Array() }),
  ],
  4: [5, ([field], { tensor }) => field && { kind: 'tensor', value: tensor(field) }],
  5: [6, ([field], { graph }) => field && { kind: 'graph', value: graph(field) }],
  6: [7, (fields) => ({ kind: 'floats', value: floatsOf(fields) })],
  7: [8, (fields) => ({ kind: 'ints', value: intsOf(fields) })],
  8: [9, (fields) => ({ kind: 'texts', value: fields.map((field) => payloadOf(field, 'a text')) })],
  10: [11, (fields, { graph }) => ({ kind: 'graphs', value: fields.map(graph) })],
}

/** Files of the first IR versions name no type: the field that is there tells it. */
function formOf(fields: readonly WireField[]): number {
  const found = Object.entries(forms).find(([, [field]]) => fields.some(({ number }) => number === field))
  return found ? Number(found[0]) : 0
}

function floatsOf(fields: readonly WireField[]): number[] {
  return fields.flatMap(({ bytes, wire }) => {
    if (wire === 0 || wire === 1 || bytes.byteLength % 4 !== 0) throw notOnnx('a list of floats has another form')
    if (bytes.byteLength / 4 > mostListed) throw notOnnx(`an attribute lists more than ${mostListed} numbers`)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return Array.from({ length: bytes.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true))
  })
}

function intsOf(fields: readonly WireField[]): bigint[] {
  const values: bigint[] = []
  for (const field of fields) {
    for (const value of integersOf(field)) {
      if (values.length === mostListed) throw notOnnx(`an attribute lists more than ${mostListed} numbers`)
      values.push(value)
    }
  }
  return values
}

function readOpset(bytes: Uint8Array, opsets: Map<string, number>): void {
  let [domain, version] = ['', 0]
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) domain = textOf(field, 'the domain of an operator set')
    if (field.number === 2) version = integerOf(field, 'the version of an operator set')
  }
  opsets.set(domain === 'ai.onnx' ? '' : domain, version)
}

function readPort(bytes: Uint8Array): OnnxPort {
  const rest: Uint8Array[] = []
  let name = ''
  let type: Uint8Array | undefined
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field, 'the name of a value')
    else if (field.number === 2) type = payloadOf(field, 'the type of a value')
    else rest.push(field.raw)
  }
  if (!type) return { name, rest }
  const tensor = readTensorType(type)
  return tensor ? { name, tensor, type, rest } : { name, type, rest }
}

function readTensorType(bytes: Uint8Array): OnnxPort['tensor'] {
  for (const field of fieldsOf(bytes)) {
    if (field.number !== 1) continue
    let type = 0
    let shape: OnnxDimension[] | undefined
    for (const part of fieldsOf(payloadOf(field, 'a tensor type'))) {
      if (part.number === 1) type = integerOf(part, 'an element type')
      if (part.number === 2)
        shape = [...fieldsOf(payloadOf(part, 'a shape'))].filter(({ number }) => number === 1).map(readDimension)
    }
    return shape ? { type, shape } : { type }
  }
  return undefined
}

function readDimension(field: WireField): OnnxDimension {
  for (const part of fieldsOf(payloadOf(field, 'a dimension'))) {
    if (part.number === 1) return exactly(BigInt.asIntN(64, part.integer), 'a dimension')
    if (part.number === 2) return textOf(part, 'the name of a dimension') || null
  }
  return null
}
