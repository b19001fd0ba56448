/** Models that write text, and requests to them. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { GenerationEvent, GenerationRequest, Sampling } from '#contracts/generation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import type { Decoder, DecoderBounds } from '#src/engine/generation/decoder.ts'
import { bytesPerToken, readDecoderPorts } from '#src/engine/generation/decoder-ports.ts'
import type { TextModel } from '#src/engine/generation/generate.ts'
import { loadGeneration } from '#src/engine/generation/load-generation.ts'
import { openDecoder } from '#src/engine/generation/open-decoder.ts'
import { PrefixCache } from '#src/engine/generation/prefix-cache.ts'
import { Scheduler, type SchedulerOptions } from '#src/engine/generation/scheduler.ts'
import { nextTurn } from '#src/engine/next-turn.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import type { TaskContext } from '#src/engine/task-definition.ts'
import { folderReader, haveSharedModels, sharedReader, withoutSharedModels } from '../../support/shared-models.ts'

const storyFolder = fileURLToPath(new URL('../../../models/story/', import.meta.url))
const storyGraph = 'onnx/model_quantized.onnx'

export interface TestModel {
  name: string
  /** Why its tests are skipped; empty where they are not. */
  missing: string
  reader(): ArtifactReader
  graph: string
  kind: Decoder['kind']
}

export const tinyStories: TestModel = {
  name: 'stories260k, by row',
  missing: haveSharedModels ? '' : withoutSharedModels,
  reader: () => sharedReader('stories260k'),
  graph: 'onnx/model.onnx',
  kind: 'by row',
}

export const story: TestModel = {
  name: 'story, in place',
  missing: existsSync(`${storyFolder}${storyGraph}`) ? '' : 'needs models/story',
  reader: () => folderReader(storyFolder),
  graph: storyGraph,
  kind: 'in place, rows together',
}

export interface Loaded {
  context: TaskContext
  session: OrtSession
  model: TextModel
}

/** Loads a decoder and all around it. Turns end at once instead of with a timer. */
export async function loadTextModel(
  ort: Ort,
  { reader, graph }: TestModel,
  changes: Partial<TaskContext> = {},
): Promise<Loaded> {
  const files = reader()
  const session = await loadGraph(ort, files, graph)
  const context: TaskContext = { ort, session, reader: files, options: {}, ...changes }
  return { context, session, model: await loadGeneration(context) }
}

/** The same model with a scheduler of its own, for what depends on its bounds. */
export function rescheduled(
  { model, session }: Loaded,
  bounds: Partial<DecoderBounds> & { prefixBytes?: number } = {},
  options: Partial<SchedulerOptions> = {},
): { model: TextModel; decoder: Decoder; prefixes: PrefixCache } {
  const ports = readDecoderPorts(session)
  const { prefixBytes = 8 * 2 ** 20, ...rest } = bounds
  const decoder = openDecoder(ports, { positions: 512, cacheBytes: 64 * 2 ** 20, rows: 16, ...rest })
  const chunkTokens = 32
  const blockBytes = chunkTokens * bytesPerToken(ports.sides)
  const prefixes = new PrefixCache(session.ort, { blockBytes, boundBytes: prefixBytes })
  const scheduler = new Scheduler({ decoder, prefixes, chunkTokens, queueLimit: 64, yieldTurn: nextTurn, ...options })
  return { model: { ...model, scheduler }, decoder, prefixes }
}

/** Where the next block of the heap would lie: the same before and after means that nothing leaked. */
export function nextBlock(ort: Ort, sizeBytes = 64): number {
  const pointer = ort.malloc(sizeBytes)
  ort.free(pointer)
  return pointer
}

export const greedy: Sampling = {
  temperature: 0,
  topK: null,
  topP: null,
  minP: null,
  repetitionPenalty: null,
  presencePenalty: null,
  frequencyPenalty: null,
  logitBias: {},
  seed: null,
}

export function seeded(seed: number): Sampling {
  return { ...greedy, temperature: 0.9, topP: 0.95, seed }
}

export function requestOf(
  prompt: string | readonly number[],
  changes: Partial<GenerationRequest> = {},
): GenerationRequest {
  return {
    prompt: typeof prompt === 'string' ? { kind: 'text', text: prompt } : { kind: 'tokens', tokens: prompt },
    choices: 1,
    maxTokens: 32,
    sampling: greedy,
    stop: [],
    ignoreEos: false,
    topLogprobs: null,
    echo: false,
    constraint: null,
    tenant: 'one',
    deadlineMs: 60_000,
    ...changes,
  }
}

export async function collect(events: Promise<AsyncIterable<GenerationEvent>>): Promise<GenerationEvent[]> {
  return Array.fromAsync(await events)
}

/** The text of one choice. */
export function textOf(events: readonly GenerationEvent[], choice = 0): string {
  return events.map((event) => (event.type === 'text-delta' && event.choice === choice ? event.text : '')).join('')
}

/** The one event of a type. */
export function only<T extends GenerationEvent['type']>(
  events: readonly GenerationEvent[],
  type: T,
): Extract<GenerationEvent, { type: T }> {
  const found = events.filter((event): event is Extract<GenerationEvent, { type: T }> => event.type === type)
  if (found.length !== 1)
    throw new Error(`${found.length} events of type ${type} in ${JSON.stringify(events.slice(-3))}`)
  return found[0]!
}
