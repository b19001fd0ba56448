/**
 * An ONNX model as plain objects. What glim's conversions look at is named; every other field (documentation, metadata, model
 * functions, annotations) is kept as the bytes that came, in `rest`, and written back unchanged.
 */

/** Fields that are passed on as they are, each with its tag. */
export type Rest = readonly Uint8Array[]

export interface OnnxModel {
  irVersion: number
  producer: string
  /** Version of each operator set, by domain; ONNX's own is `''`. */
  opsets: Map<string, number>
  graph: OnnxGraph
  rest: Rest
}

export interface OnnxGraph {
  name: string
  nodes: OnnxNode[]
  initializers: OnnxTensor[]
  inputs: OnnxPort[]
  outputs: OnnxPort[]
  /** What the exporter says of values between nodes. */
  values: OnnxPort[]
  rest: Rest
}

export interface OnnxNode {
  name: string
  operator: string
  domain: string
  /** An empty name stands for an optional input or output that is left out. */
  inputs: readonly string[]
  outputs: readonly string[]
  attributes: readonly OnnxAttribute[]
  rest: Rest
}

export type OnnxAttributeValue =
  | { kind: 'float'; value: number }
  | { kind: 'int'; value: bigint }
  | { kind: 'text'; value: Uint8Array }
  | { kind: 'tensor'; value: OnnxTensor }
  | { kind: 'graph'; value: OnnxGraph }
  | { kind: 'floats'; value: readonly number[] }
  | { kind: 'ints'; value: readonly bigint[] }
  | { kind: 'texts'; value: readonly Uint8Array[] }
  | { kind: 'graphs'; value: readonly OnnxGraph[] }
  /** Sparse tensors, types, lists of tensors, references: `rest` holds them whole. */
  | { kind: 'other' }

export type OnnxAttribute = { name: string; rest: Rest } & OnnxAttributeValue

export interface OnnxTensor {
  name: string
  /** Number of the element type in onnx.proto; `dtypes` names those that have tensors of ours. */
  type: number
  shape: readonly number[]
  /** Row-major, little-endian: a view of the file. Empty for texts and for data outside of the file. */
  bytes: Uint8Array
  /** The elements of a tensor of texts. */
  texts?: readonly Uint8Array[]
  external?: ExternalData
  rest: Rest
}

/** Where a tensor's bytes lie beside the model. */
export interface ExternalData {
  location: string
  offset: number
  /** Absent: to the end of the file. */
  length?: number
}

/** An input, an output or a value between nodes. */
export interface OnnxPort {
  name: string
  /** Absent where it is no tensor, or nothing is said. */
  tensor?: { type: number; shape?: readonly OnnxDimension[] }
  /** `TypeProto` as it came, when it is more than an element type and a shape. */
  type?: Uint8Array
  rest: Rest
}

/** A size, a name for one, or null where nothing is known. */
export type OnnxDimension = number | string | null

/** The value of an integer attribute, or `otherwise` where the node has none. */
export function intAttribute(node: OnnxNode, name: string, otherwise: number): number {
  const found = node.attributes.find((attribute) => attribute.name === name)
  return found?.kind === 'int' ? Number(found.value) : otherwise
}

export function intsAttribute(node: OnnxNode, name: string): readonly number[] | undefined {
  const found = node.attributes.find((attribute) => attribute.name === name)
  return found?.kind === 'ints' ? found.value.map(Number) : undefined
}

export function floatAttribute(node: OnnxNode, name: string, otherwise: number): number {
  const found = node.attributes.find((attribute) => attribute.name === name)
  return found?.kind === 'float' ? found.value : otherwise
}
