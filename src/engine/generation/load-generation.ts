/** A model's files and graph to a model that writes; shares the heap out between what is being written and kept prefixes. */
import { limits } from '#contracts/limits.ts'
import { nextTurn } from '../next-turn.ts'
import type { TaskContext } from '../task-definition.ts'
import { AnswerForms } from './answer-form.ts'
import type { DecoderBounds } from './decoder.ts'
import { bytesPerToken, type DecoderPorts, readDecoderPorts } from './decoder-ports.ts'
import type { TextModel } from './generate.ts'
import { readGenerationConfig } from './generation-config.ts'
import { openDecoder } from './open-decoder.ts'
import { PrefixCache } from './prefix-cache.ts'
import { probeDrafts } from './probe-drafts.ts'
import { loadPromptReader } from './prompt.ts'
import { createSamplerScratch } from './sampler.ts'
import { Scheduler } from './scheduler.ts'
import { Speculation } from './speculation.ts'
import { loadVocabulary } from './vocabulary.ts'

/** Reading in pieces of 16 takes half as long again as at once, of 32 a tenth more; and a piece is how long those who write must wait. */
const chunkTokens = 32
/**
 * Where attention is in place, a chunk takes as long as two steps of 8 rows at 500 tokens, and three at 1,500. So pieces shrink on
 * the way, and whoever writes waits at most three times as long as without a prompt beside them.
 */
const pieces = { least: 8, tokensTimesPosition: 18_432 }
/** A step of 8 rows takes 2 to 3 times one of a single row, and of 16 about 4 times: beyond, each stream slows for little more in sum. */
const mostRows = 16
/** Where no limit is set: keys and values of 16 rows of 2,000 tokens of a model with 100 million weights. */
const cacheBytesUnlimited = 512 * 2 ** 20
/** Where no file says how long the context is. */
const positionsUnknown = 2_048
/** Of the memory for keys and values. */
const prefixShare = 1 / 4
/** Scores of attention, [heads, tokens of a piece, positions], beside the keys and values of as many positions; usually less. */
const scoresShare = 1 / 16
/** Activations of a chunk, and what fragments the heap. */
const reserveBytes = 8 * 2 ** 20
/** Below this an endpoint is of no use; the limit then decides in the middle of a run. */
const fewestTokens = 256

/** @throws {ServingError} 400 where the model's files or graph do not make up a model that writes text. Final. */
export async function loadGeneration(context: TaskContext): Promise<TextModel> {
  const { session, reader, ort } = context
  const [loaded, config] = [await loadVocabulary(reader), await readGenerationConfig(reader)]
  const ports = readDecoderPorts(session)
  const tokenBytes = bytesPerToken(ports.sides)
  const bytes = Math.max(cacheBytes(context, ports), fewestTokens * tokenBytes)
  const bounds: DecoderBounds = {
    positions: config.contextLength ?? positionsUnknown,
    cacheBytes: bytes * (1 - prefixShare),
    rows: mostRows,
  }
  const decoder = openDecoder(ports, bounds)
  const prefixes = new PrefixCache(ort, { blockBytes: chunkTokens * tokenBytes, boundBytes: bytes * prefixShare })
  const probe = (length: number) => probeDrafts(ports, length, () => performance.now())
  return {
    vocabulary: loaded.vocabulary,
    prompts: await loadPromptReader({ reader, loaded, contextLength: decoder.contextTokens }),
    sampling: config.sampling,
    forms: new AnswerForms(loaded.vocabulary),
    scratch: createSamplerScratch(loaded.vocabulary.size),
    scheduler: new Scheduler({
      decoder,
      prefixes,
      chunkTokens,
      speculation: new Speculation(probe),
      ...(decoder.kind === 'by row' ? {} : { pieceTokens: shorterPieces }),
      queueLimit: limits.generationQueue,
      yieldTurn: nextTurn,
    }),
  }
}

/** What the heap may still grow by, less what a run needs beside keys and values. */
function cacheBytes({ ort, heapLimitBytes }: TaskContext, { outputs: [logits] }: DecoderPorts): number {
  if (heapLimitBytes === undefined) return cacheBytesUnlimited
  const [positions, vocabulary] = logits!.shape.slice(-2)
  const logitBytes = (positions === 1 ? 1 : chunkTokens) * (typeof vocabulary === 'number' ? vocabulary : 0) * 4
  // Twice: int8 graphs multiply into integers first.
  const bytes = heapLimitBytes - ort.heapBytes - reserveBytes - 2 * logitBytes
  return Math.min(bytes / (1 + scoresShare), cacheBytesUnlimited)
}

/** A power of two, the same within a chunk. */
function shorterPieces(position: number): number {
  const chunk = Math.floor(position / chunkTokens) * chunkTokens
  const most = pieces.tokensTimesPosition / Math.max(chunk, 1)
  return Math.min(Math.max(2 ** Math.floor(Math.log2(most)), pieces.least), chunkTokens)
}
