/**
 * A tokenizer and a graph that reads its tokens.
 *
 * An answer must not depend on who else is asking: padding and, in ordinary int8 graphs, the neighbours in a batch change a
 * row's numbers. So rows run one by one, unless the import has measured that the graph is batch-invariant; then rows of equal
 * length share a run, without padding, whichever requests they belong to.
 */
import { invalidParameter, modelFailed } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { rowsThatFit } from './activation-memory.ts'
import { isBatchInvariant } from './batch-invariance.ts'
import { Batcher } from './batcher.ts'
import type { ModelConfig } from './model-config.ts'
import { nextTurn } from './next-turn.ts'
import type { Port } from './ort/ports.ts'
import type { OrtSession } from './ort/session.ts'
import type { TextRow } from './text-columns.ts'
import { padRow, requireTokenInput } from './token-inputs.ts'
import { type RowOutput, TokenRun } from './token-run.ts'
import { type Encoding, loadTokenizer, type TokenIds, type Tokenizer } from './tokenizer.ts'

export interface TextModel {
  readonly tokenizer: Tokenizer
  /** Tokens of a row at most, special ones included; longer texts are cut. */
  readonly maxTokens: number
  /** Rows that share a run at most, where they may. */
  readonly maxSharedRows: number
  /**
   * Runs the graph over all rows and shows each one's output to `read`, whose results come back in the rows' order, with the
   * number of tokens read. The output's memory is ORT's and must not be kept.
   *
   * @throws {ServingError} 429 where too much waits already (retryable), 504 past the time of an invocation, 400 where the graph
   * refuses a row.
   */
  run<T>(
    rows: readonly TextRow[],
    read: (output: RowOutput, encoding: Encoding) => T,
    signal?: AbortSignal,
  ): Promise<TextRun<T>>
  /** Runs the graph alone and in batches of several sizes to see whether a row's numbers are the same bits in all of them. */
  measureBatchInvariance(): boolean
}

export interface TextRun<T> {
  outputs: T[]
  promptTokens: number
}

export interface TextModelOptions {
  config: ModelConfig
  /** The output that is read. */
  output: Port
  /** Whether rows of equal length may share a run. */
  batchInvariant: boolean
  heapLimitBytes?: number | undefined
}

interface Row {
  encoding: Encoding
  read(output: RowOutput): void
}

/** Beyond these, batches gain nothing on one thread and only cost memory. */
const batchTokens = 512
const batchRows = 32
/** Tokens and rows that batch invariance is tried with, a sample of what can occur: the largest run first, since a heap that grows at once ends smaller. */
const probeShapes = [
  [batchTokens, 1],
  [16, 32],
  [33, 3],
  [5, 7],
] as const
/** Characters that are split into tokens before others have a turn; some milliseconds of work. */
const charactersPerTurn = 32_768
/** What a row costs besides, in the time of so many characters. */
const charactersPerRow = 16

/** @throws {ServingError} 400 for a graph that needs more than tokens, or a broken tokenizer. */
export async function loadTextModel(
  session: OrtSession,
  reader: ArtifactReader,
  { config, output, batchInvariant, heapLimitBytes }: TextModelOptions,
): Promise<TextModel> {
  const tokenizer = await loadTokenizer(reader)
  const idsPort = session.inputs.find((port) => port.name === 'input_ids')
  if (!idsPort) throw modelFailed('The graph has no input "input_ids", which a text task needs.')
  for (const port of session.inputs) requireTokenInput(port)

  const [fixedRows, fixedTokens] = idsPort.shape.map((size) => (typeof size === 'number' ? size : undefined))
  // Memory bounds how many rows share a run, never where a text is cut: that would change answers from replica to replica.
  const room = Math.min(heapLimitBytes ?? Number.POSITIVE_INFINITY, session.ort.heapLimitBytes) - session.ort.heapBytes
  const bounds = [tokenizer.maxTokens, config.maxPositions, fixedTokens]
  const maxTokens = Math.min(...bounds.filter((bound) => bound !== undefined), limits.textCharacters)
  const padId = tokenizer.padId ?? config.padTokenId ?? 0
  const canShare = fixedRows === undefined
  const graph = new TokenRun(session, output)

  const runTogether = (rows: readonly TokenIds[], read: (row: number, output: RowOutput) => void) => {
    const width = fixedTokens ?? rows[0]!.ids.length
    const padded = rows.map((encoding) => padRow(encoding, width, padId, tokenizer.padSide))
    graph.run(padded, width, read)
  }
  const mostRows = (length: number) =>
    Math.max(1, Math.min(batchRows, Math.floor(batchTokens / length), rowsThatFit(room, length, config)))
  const batcher = new Batcher<Row>({
    lengthOf: ({ encoding }) => encoding.ids.length,
    mostRows: (length) => (canShare && batchInvariant ? mostRows(fixedTokens ?? length) : 1),
    run: (rows) =>
      runTogether(
        rows.map(({ encoding }) => encoding),
        (row, output) => rows[row]!.read(output),
      ),
  })

  return {
    tokenizer,
    maxTokens,
    maxSharedRows: canShare ? batchRows : 1,
    async run(texts, read, signal) {
      const outputs = new Array(texts.length)
      const rows: Row[] = []
      let promptTokens = 0
      let characters = 0
      for (const [index, { text, pair }] of texts.entries()) {
        const encoding = encodeRow(tokenizer, text, pair, maxTokens, index)
        rows.push({
          encoding,
          read: (output) => {
            outputs[index] = read(output, encoding)
          },
        })
        promptTokens += encoding.ids.length
        if (promptTokens > limits.queuedTokens)
          throw invalidParameter('text', `more than ${limits.queuedTokens} tokens came in one request`)
        characters += charactersPerRow + text.length + (pair?.length ?? 0)
        if (characters < charactersPerTurn) continue
        characters = 0
        await nextTurn()
        if (signal?.aborted) break
      }
      await batcher.submit(rows, signal)
      return { outputs, promptTokens }
    },
    measureBatchInvariance: () =>
      canShare &&
      isBatchInvariant({
        vocabularySize: tokenizer.vocabularySize,
        shapes: probeShapes.map(([length, rows]) => {
          const tokens = fixedTokens ?? Math.min(length, maxTokens)
          return [tokens, Math.min(rows, mostRows(tokens))] as const
        }),
        run(rows) {
          const values: Float32Array[] = []
          runTogether(rows, (_, output) => values.push(output.values.slice()))
          return values
        },
      }),
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
