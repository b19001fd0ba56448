/**
 * A tokenizer and a graph that reads its tokens.
 *
 * An answer must not depend on who else is asking: padding and, in ordinary int8 graphs, the neighbours in a batch change a
 * row's numbers. So rows run one by one, unless the import has declared the graph batch-invariant; then rows of equal length
 * share a run, without padding, up to a number of tokens beyond which batches gain nothing and only cost memory.
 */
import { invalidParameter, modelFailed } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { rowsOf } from './floats.ts'
import type { ModelConfig } from './model-config.ts'
import type { OrtSession } from './ort/session.ts'
import { runGraph } from './run-graph.ts'
import type { TextRow } from './text-columns.ts'
import { inputOf, padRow, requireTokenInput } from './token-inputs.ts'
import { type Encoding, loadTokenizer, type Tokenizer } from './tokenizer.ts'

export interface TextModel {
  /** Runs the graph over all rows; one output per row, in order, and the number of tokens read. */
  run(rows: readonly TextRow[], output: string): TextRun
}

export interface TextRun {
  outputs: readonly RowOutput[]
  promptTokens: number
}

export interface RowOutput {
  /** Shape of this row's values. */
  shape: readonly number[]
  values: Float32Array
  /** First and past-the-last real token along the sequence. */
  tokens: readonly [number, number]
}

const batchTokens = 512
/** @throws {ServingError} 400 for a graph that needs more than tokens, or a broken tokenizer. */
export async function loadTextModel(
  session: OrtSession,
  reader: ArtifactReader,
  config: ModelConfig,
  batchInvariant: boolean,
): Promise<TextModel> {
  const tokenizer = await loadTokenizer(reader)
  const idsPort = session.inputs.find((port) => port.name === 'input_ids')
  if (!idsPort) throw modelFailed('The graph has no input "input_ids", which a text task needs.')
  for (const port of session.inputs) requireTokenInput(port)

  const [fixedRows, fixedTokens] = idsPort.shape.map((size) => (typeof size === 'number' ? size : undefined))
  const bounds = [tokenizer.maxTokens, config.maxPositions, fixedTokens].filter((bound) => bound !== undefined)
  const maxTokens = Math.min(...bounds, Number.MAX_SAFE_INTEGER)
  const padId = tokenizer.padId ?? config.padTokenId ?? 0

  return {
    run(rows, output) {
      const encodings = rows.map(({ text, pair }, row) => encodeRow(tokenizer, text, pair, maxTokens, row))
      const outputs: RowOutput[] = []
      for (const batch of batchesOf(encodings, batchInvariant && fixedRows !== 1)) {
        const width = fixedTokens ?? encodings[batch[0]!]!.ids.length
        const padded = batch.map((row) => padRow(encodings[row]!, width, padId, tokenizer.padSide))
        const inputs = Object.fromEntries(session.inputs.map((port) => [port.name, inputOf(port, padded, width)]))
        const result = runGraph(session, inputs, [output])[output]!
        const { shape, values } = rowsOf(output, result, batch.length)
        for (const [index, row] of batch.entries()) {
          outputs[row] = { shape, values: values[index]!, tokens: padded[index]!.tokens }
        }
      }
      return { outputs, promptTokens: encodings.reduce((sum, { ids }) => sum + ids.length, 0) }
    },
  }
}

function encodeRow(
  tokenizer: Tokenizer,
  text: string,
  pair: string | undefined,
  maxTokens: number,
  row: number,
): Encoding {
  const encoding = tokenizer.encode(text, pair, maxTokens)
  if (encoding.ids.length === 0) throw invalidParameter(`text[${row}]`, 'this text has no tokens')
  return encoding
}

/** Row numbers that run together. */
function batchesOf(encodings: readonly Encoding[], grouped: boolean): number[][] {
  if (!grouped) return encodings.map((_, row) => [row])
  const byLength = Map.groupBy(encodings.keys(), (row) => encodings[row]!.ids.length)
  return [...byLength].flatMap(([length, rows]) => {
    const size = Math.max(1, Math.floor(batchTokens / length))
    return Array.from({ length: Math.ceil(rows.length / size) }, (_, at) => rows.slice(at * size, (at + 1) * size))
  })
}
