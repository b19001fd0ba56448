/** The inputs that a graph of texts can have, written from tokens in the graph's own dtype and length. */
import { modelFailed } from '#contracts/errors.ts'
import type { Port } from './ort/ports.ts'
import type { TokenIds } from './tokenizer.ts'

/** Inputs that can be made from tokens. */
const tokenInputs = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const
type TokenInput = (typeof tokenInputs)[number]

export interface PaddedRow extends TokenIds {
  /** First and past-the-last real token. */
  tokens: readonly [number, number]
}

/** Fills a row up to the width of its run. */
export function padRow({ ids, typeIds }: TokenIds, width: number, padId: number, side: 'left' | 'right'): PaddedRow {
  const missing = width - ids.length
  if (missing === 0) return { ids, typeIds, tokens: [0, width] }
  const [before, after] = side === 'left' ? [missing, 0] : [0, missing]
  const pad = (values: readonly number[], filler: number) => [
    ...Array<number>(before).fill(filler),
    ...values,
    ...Array<number>(after).fill(filler),
  ]
  return { ids: pad(ids, padId), typeIds: pad(typeIds, 0), tokens: [before, before + ids.length] }
}

/** Writes one input over all rows of a run, as 32-bit words; ids and positions are never negative, so the upper halves are 0. */
export function writeTokens(port: Port, rows: readonly PaddedRow[], width: number, words: Uint32Array): void {
  const step = port.dtype === 'int64' ? 2 : 1
  if (step === 2) words.fill(0)
  for (const [row, padded] of rows.entries()) {
    const start = row * width * step
    for (let at = 0; at < width; at++) words[start + at * step] = tokenValue(port.name as TokenInput, padded, at)
  }
}

function tokenValue(input: TokenInput, { ids, typeIds, tokens: [start, end] }: PaddedRow, at: number): number {
  switch (input) {
    case 'input_ids':
      return ids[at]!
    case 'token_type_ids':
      return typeIds[at]!
    case 'attention_mask':
      return at >= start && at < end ? 1 : 0
    case 'position_ids':
      return at >= start && at < end ? at - start : 0
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
