/** The columns of a text task: `text`, and `text_pair` beside it for tasks that read two texts together. */
import { invalidParameter } from '#contracts/errors.ts'
import type { NamedTensors } from '#contracts/tensor.ts'

export interface TextRow {
  text: string
  pair: string | undefined
}

/** @throws {ServingError} 400 naming the column at fault. */
export function textRows(inputs: NamedTensors): TextRow[] {
  const texts = textColumn(inputs, 'text')
  if (!texts) throw invalidParameter('text', 'this column is required')
  const pairs = textColumn(inputs, 'text_pair')
  if (pairs && pairs.length !== texts.length) {
    throw invalidParameter('text_pair', `${pairs.length} rows came for the ${texts.length} rows of text`)
  }
  return texts.map((text, row) => ({ text, pair: pairs?.[row] }))
}

function textColumn(inputs: NamedTensors, name: string): readonly string[] | undefined {
  const column = inputs[name]
  if (!column) return undefined
  if (column.dtype !== 'string') throw invalidParameter(name, `texts are expected, ${column.dtype} came`)
  return column.strings
}
