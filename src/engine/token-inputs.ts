/** The inputs that a graph of texts can have, made from tokens in the graph's own dtype and length. */
import { modelFailed } from '#contracts/errors.ts'
import { type NumericTensor, tensorOf } from '#contracts/tensor.ts'
import type { Port } from './ort/ports.ts'
import type { Encoding } from './tokenizer.ts'

/** Inputs that can be made from tokens. */
const tokenInputs = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
type TokenInput = (typeof tokenInputs)[number]

export interface PaddedRow extends Encoding {
  /** First and past-the-last real token. */
  tokens: readonly [number, number]
}

/** Fills a row up to the width of its run. */
export function padRow({ ids, typeIds }: Encoding, width: number, padId: number, side: 'left' | 'right'): PaddedRow {
  const missing = width - ids.length
  const [before, after] = side === 'left' ? [missing, 0] : [0, missing]
  const pad = (values: readonly number[], filler: number) => [
    ...Array<number>(before).fill(filler),
    ...values,
    ...Array<number>(after).fill(filler),
  ]
  return { ids: pad(ids, padId), typeIds: pad(typeIds, 0), tokens: [before, before + ids.length] }
}

/** One input over all rows of a run. */
export function inputOf(port: Port, rows: readonly PaddedRow[], width: number): NumericTensor {
  const flat = rows.flatMap((row) => valuesFor(port.name as TokenInput, row, width))
  const shape = [rows.length, width]
  return port.dtype === 'int64'
    ? tensorOf('int64', shape, BigInt64Array.from(flat, BigInt))
    : tensorOf('int32', shape, Int32Array.from(flat))
}

function valuesFor(
  input: TokenInput,
  { ids, typeIds, tokens: [start, end] }: PaddedRow,
  width: number,
): readonly number[] {
  const perToken = (value: (position: number) => number) =>
    Array.from({ length: width }, (_, at) => (at >= start && at < end ? value(at - start) : 0))
  switch (input) {
    case 'input_ids':
      return ids
    case 'token_type_ids':
      return typeIds
    case 'attention_mask':
      return perToken(() => 1)
    case 'position_ids':
      return perToken((position) => position)
  }
}

/** @throws {ServingError} 400 for an input that tokens do not tell. */
export function requireTokenInput({ name, dtype }: Port): void {
  if (!(tokenInputs as readonly string[]).includes(name)) {
    throw modelFailed(
      `The graph needs an input "${name}", which a text task cannot make; import it with the task "tensor".`,
    )
  }
  if (dtype !== 'int64' && dtype !== 'int32')
    throw modelFailed(`The graph's input "${name}" is ${dtype}; tokens are int64 or int32.`)
}
