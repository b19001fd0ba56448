/** Small graphs that ask for absurd amounts of time or memory: some in themselves, the others when their input says so. */
import { emptyGraph, GraphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import type { OnnxGraph } from '#src/compiler/onnx/model.ts'

/** `y = 1 + trip`, one step at a time; without a constant the trip count is an input. */
export function countingLoop(trip?: bigint): Uint8Array {
  const body = new GraphBuilder(emptyGraph('body'))
  body.input('step', 'int64', [])
  body.input('goes_on', 'bool', [])
  body.input('before', 'float32', [])
  body.add('Identity', ['goes_on'], { outputs: ['still'] })
  body.add('Add', ['before', scalar(body, 1)], { outputs: ['after'] })
  body.output('still', 'bool', [])
  body.output('after', 'float32', [])

  const graph = new GraphBuilder()
  const count =
    trip === undefined
      ? graph.input('trip', 'int64', [])
      : graph.constant('trip', { dtype: 'int64', shape: [], values: BigInt64Array.of(trip) })
  const always = graph.constant('always', { dtype: 'bool', shape: [], values: Uint8Array.of(1) })
  graph.add('Loop', [count, always, scalar(graph, 1)], { outputs: ['y'], attributes: { body: body.graph } })
  graph.output('y', 'float32', [])
  return graph.bytes()
}

/** `size` (int64) says how large the output is. */
export const sizedGraphs = {
  constant(graph: GraphBuilder) {
    graph.input('size', 'int64', [2])
    graph.add('ConstantOfShape', ['size'], { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 'columns'])
  },
  expand(graph: GraphBuilder) {
    graph.input('size', 'int64', [2])
    graph.add('Expand', [scalar(graph, 1), 'size'], { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 'columns'])
  },
  tile(graph: GraphBuilder) {
    graph.input('size', 'int64', [2])
    const one = graph.constant('one', { dtype: 'float32', shape: [1, 1], values: Float32Array.of(1) })
    graph.add('Tile', [one, 'size'], { outputs: ['y'] })
    graph.output('y', 'float32', ['rows', 'columns'])
  },
  resize(graph: GraphBuilder) {
    graph.input('size', 'int64', [2])
    const image = graph.constant('image', { dtype: 'float32', shape: [2, 2], values: new Float32Array(4) })
    graph.add('Resize', [image, '', '', 'size'], { outputs: ['y'], attributes: { mode: 'linear' } })
    graph.output('y', 'float32', ['rows', 'columns'])
  },
} satisfies Record<string, (graph: GraphBuilder) => void>

export function sizedGraph(kind: keyof typeof sizedGraphs): Uint8Array {
  const graph = new GraphBuilder()
  sizedGraphs[kind](graph)
  return graph.bytes()
}

/** An output of 10⁹ numbers whatever comes in. */
export function constantlyLarge(): Uint8Array {
  const graph = new GraphBuilder()
  const size = graph.constant('size', { dtype: 'int64', shape: [2], values: BigInt64Array.of(100_000n, 10_000n) })
  graph.add('ConstantOfShape', [size], { outputs: ['y'] })
  graph.output('y', 'float32', [100_000, 10_000])
  return graph.bytes()
}

/** One convolution of `length` by `width`: little memory, and as much time as their product. */
export function slowKernel(): Uint8Array {
  const graph = new GraphBuilder()
  graph.input('length', 'int64', [3])
  graph.input('width', 'int64', [3])
  const signal = graph.add('Expand', [scalar(graph, 1), 'length'])
  const kernel = graph.add('Expand', [scalar(graph, 1), 'width'])
  const wave = graph.add('Conv', [signal, kernel])
  graph.add('ReduceMax', [wave], { outputs: ['y'], attributes: { keepdims: 0 } })
  graph.output('y', 'float32', [])
  return graph.bytes()
}

/** An `If` in an `If` in an `If` … */
export function nestedBranches(depth: number): Uint8Array {
  let inner: OnnxGraph = branch('innermost')
  for (let level = 0; level < depth; level++) {
    const graph = new GraphBuilder(emptyGraph(`level ${level}`))
    const which = graph.constant(`which ${level}`, { dtype: 'bool', shape: [], values: Uint8Array.of(1) })
    graph.add('If', [which], {
      outputs: [`chosen ${level}`],
      attributes: { then_branch: inner, else_branch: branch(`other ${level}`) },
    })
    graph.output(`chosen ${level}`, 'float32', [])
    inner = graph.graph
  }
  return new GraphBuilder(inner).bytes()
}

function branch(name: string): OnnxGraph {
  const graph = new GraphBuilder(emptyGraph(name))
  const one = graph.constant(`${name} in`, { dtype: 'float32', shape: [], values: Float32Array.of(1) })
  graph.add('Identity', [one], { outputs: [`${name} out`] })
  graph.output(`${name} out`, 'float32', [])
  return graph.graph
}

function scalar(graph: GraphBuilder, value: number): string {
  return graph.floats(value)
}
