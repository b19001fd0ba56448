/** Which values of a graph are fixed, and in which form: exporters hand weights through Constant, Identity and Transpose. */
import { dtypes } from '#contracts/tensor.ts'
import { intsAttribute, type OnnxGraph, type OnnxModel, type OnnxNode, type OnnxTensor } from '../onnx/model.ts'

export interface ConstantMatrix {
  tensor: OnnxTensor
  /** Whether the value is the tensor with rows and columns exchanged. */
  isTransposed: boolean
  /** Shape of the value. */
  rows: number
  columns: number
}

export type Constants = ReadonlyMap<string, ConstantMatrix>

/** The float32 matrices by the names under which nodes read them. */
export function constantMatrices({ graph, irVersion }: OnnxModel): Constants {
  // From IR version 4 on, a weight that is also an input may be replaced by the caller.
  const replaceable = new Set(irVersion < 4 ? [] : graph.inputs.map(({ name }) => name))
  const found = new Map<string, ConstantMatrix>()
  const add = (name: string, tensor: OnnxTensor) => {
    const [rows, columns, ...more] = tensor.shape
    if (rows === undefined || columns === undefined || more.length > 0) return
    if (tensor.type === dtypes.float32.onnx && !tensor.external)
      found.set(name, { tensor, isTransposed: false, rows, columns })
  }
  for (const tensor of graph.initializers) if (!replaceable.has(tensor.name)) add(tensor.name, tensor)
  for (const node of graph.nodes) {
    const [output] = node.outputs
    if (output === undefined || node.domain !== '') continue
    if (node.operator === 'Constant') {
      const value = node.attributes.find(({ name }) => name === 'value')
      if (value?.kind === 'tensor') add(output, value.value)
    }
    const input = found.get(node.inputs[0] ?? '')
    if (!input) continue
    if (node.operator === 'Identity') found.set(output, input)
    if (node.operator === 'Transpose' && (intsAttribute(node, 'perm') ?? [1, 0]).join() === '1,0')
      found.set(output, {
        tensor: input.tensor,
        isTransposed: !input.isTransposed,
        rows: input.columns,
        columns: input.rows,
      })
  }
  return found
}

/** How often each name is read: by nodes, by graphs within nodes, and as an output of a graph. */
function readersOf(graph: OnnxGraph): Map<string, number> {
  const readers = new Map<string, number>()
  const read = (name: string) => readers.set(name, (readers.get(name) ?? 0) + 1)
  for (const { name } of graph.outputs) read(name)
  for (const node of graph.nodes) for (const name of readNames(node)) read(name)
  return readers
}

/** Operators that hand weights on. */
const carriers = new Set(['Constant', 'Identity', 'Transpose'])

/** Drops the weights that nothing reads any more, and of the nodes those that `isDropped` says; carriers of weights if left out. */
export function withoutUnread(
  graph: OnnxGraph,
  isDropped = ({ operator }: OnnxNode) => carriers.has(operator),
): OnnxGraph {
  const readers = readersOf(graph)
  const isRead = (name: string) => (readers.get(name) ?? 0) > 0
  // Nodes stand behind those they read, so that backwards one pass finds all that hung on what was dropped.
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!isDropped(node) || node.outputs.some(isRead)) return true
    for (const name of readNames(node)) readers.set(name, readers.get(name)! - 1)
    return false
  })
  return { ...graph, nodes: nodes.reverse(), initializers: graph.initializers.filter(({ name }) => isRead(name)) }
}

/** All names of outer values that a node reads, also in graphs within it. */
export function readNames(node: OnnxNode): string[] {
  const inner = innerGraphs(node).flatMap(({ nodes, outputs }) => [
    ...nodes.flatMap(readNames),
    ...outputs.map(({ name }) => name),
  ])
  return [...node.inputs, ...inner]
}

function innerGraphs(node: OnnxNode): readonly OnnxGraph[] {
  return node.attributes.flatMap((attribute) => {
    if (attribute.kind === 'graph') return [attribute.value]
    return attribute.kind === 'graphs' ? attribute.value : []
  })
}
