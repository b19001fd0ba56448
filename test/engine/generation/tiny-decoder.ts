/** A decoder of one layer with in-place attention, small enough to be made by a test; its rows may be made to depend on each other. */
import { graphBuilder, microsoft } from '#src/compiler/onnx/graph-builder.ts'
import { modelBytes } from '#src/compiler/onnx/write-model.ts'

const [width, vocabulary] = [16, 32]

/** Inputs `input_ids`, `attention_mask`, `past_key_values.0.key|value`; logits of all positions. */
export function tinyDecoder({ mixesRows }: { mixesRows: boolean }): Uint8Array {
  const graph = graphBuilder()
  const matrix = (name: string, rows: number, columns: number) => {
    const values = Float32Array.from({ length: rows * columns }, (_, at) =>
      Math.sin((at + 1) * (at + rows + name.length)),
    )
    return graph.constant(name, { dtype: 'float32', shape: [rows, columns], values })
  }
  const ids = graph.input('input_ids', 'int64', ['rows', 'tokens'])
  const mask = graph.input('attention_mask', 'int64', ['rows', 'total'])
  const cache = ['key', 'value'].map((part) => {
    graph.output(`present.0.${part}`, 'float32', ['rows', 1, 'total', width])
    return graph.input(`past_key_values.0.${part}`, 'float32', ['rows', 1, 'past', width])
  })
  graph.output('logits', 'float32', ['rows', 'tokens', vocabulary])
  const int32 = { attributes: { to: 6 } }
  const lengths = graph.add('ReduceSum', [mask, graph.ints([1])], { attributes: { keepdims: 0 } })
  const lasts = graph.add('Cast', [graph.add('Sub', [lengths, graph.ints([1])])], int32)
  const total = graph.add('Cast', [graph.add('Gather', [graph.add('Shape', [mask]), graph.ints(1)])], int32)
  let x = graph.add('Gather', [matrix('words', vocabulary, width), ids])
  // What dynamic int8 does: one scale for all rows.
  if (mixesRows)
    x = graph.add('Div', [x, graph.add('ReduceMax', [graph.add('Abs', [x])], { attributes: { keepdims: 0 } })])
  const parts = ['query', 'key', 'value'].map((part) => graph.add('MatMul', [x, matrix(part, width, width)]))
  const mixed = graph.add('GroupQueryAttention', [...parts, ...cache, lasts, total], {
    domain: microsoft,
    outputs: [graph.fresh('mixed'), 'present.0.key', 'present.0.value'],
    attributes: { num_heads: 1, kv_num_heads: 1 },
  })
  graph.add('MatMul', [graph.add('Add', [x, mixed]), matrix('head', width, vocabulary)], { outputs: ['logits'] })
  return modelBytes(graph.model())
}
