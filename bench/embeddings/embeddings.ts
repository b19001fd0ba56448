/**
 * Embeddings of a MiniLM-shaped int8 model by 1, 8 and 32 callers at once, with short texts (8 to 24 tokens), long ones (about 128)
 * and both (24 short and 8 long of 32).
 *
 * Against transformers.js on the same wasm build and the same file, in the same process, in turns: one call with all texts, which
 * pads them to the longest, and one call after another. Beside them our figure inside an isolate, over HTTP through dispatcher and
 * host.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { buildWorkers } from '#src/cli/build-workers.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { featureExtractionTask } from '#src/engine/tasks/feature-extraction.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { folderReader } from '../../test/support/shared-models.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { encoderModel, encoderShape } from '../support/encoder-model.ts'
import { textOf } from '../support/seeded-weights.ts'
import { type BenchServer, startBenchServer } from '../support/served-encoder.ts'
import { transformersOnWasm } from '../support/transformers-on-wasm.ts'

const graph = 'onnx/model_quantized.onnx'
const [rounds, warmUpRounds] = [5, 1]
/** A case of few texts is repeated within a round, in turns, so that whatever else the machine does meets all sides. */
const repeats: Readonly<Record<number, number>> = { 1: 8, 8: 2, 32: 1 }

type Embed = (texts: readonly string[]) => Promise<number[][]>

/** How the texts of a case are embedded. */
type Side = 'ours' | 'padded' | 'sequential' | 'isolate'

interface Case {
  name: string
  texts: readonly string[]
  /** Milliseconds for all texts, by side. */
  times: Record<Side, number[]>
}

export async function embeddings(): Promise<BenchmarkResult> {
  const folder = mkdtempSync(join(tmpdir(), 'glim-bench-'))
  const files = encoderModel({ weights: 'q8row' })
  const server = await startBenchServer({ idleMs: 600_000, workers: await buildWorkers() })
  try {
    for (const { path, bytes } of files) {
      mkdirSync(dirname(join(folder, 'encoder', path)), { recursive: true })
      writeFileSync(join(folder, 'encoder', path), bytes)
    }
    await server.serve('encoder', files, { task: 'feature-extraction' })
    return await compare(await ours(join(folder, 'encoder')), await peer(folder), served(server))
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true })
  }
}

async function compare(own: Embed, peer: Embed, isolate: Embed): Promise<BenchmarkResult> {
  const each = (embed: Embed, texts: readonly string[]) => Promise.all(texts.map((text) => embed([text])))
  const sides: Record<Side, (texts: readonly string[]) => Promise<unknown>> = {
    ours: (texts) => each(own, texts),
    padded: (texts) => peer(texts),
    sequential: (texts) => inTurn(peer, texts),
    isolate: (texts) => each(isolate, texts),
  }
  const cases = allCases()
  const mixed = cases.find(({ name }) => name === 'mixed × 32')!
  const single = cases.find(({ name }) => name === 'short × 1')!
  const expected = await inTurn(peer, mixed.texts)
  requireEqual((await each(own, mixed.texts)).flat(), expected)
  requireEqual((await each(isolate, mixed.texts)).flat(), expected)

  for (let round = 0; round < warmUpRounds + rounds; round++) {
    for (const { texts, times } of cases) {
      for (let repeat = 0; repeat < repeats[texts.length]!; repeat++) {
        for (const side of Object.keys(sides) as Side[]) {
          const startedMs = performance.now()
          await sides[side](texts)
          if (round >= warmUpRounds) times[side].push(performance.now() - startedMs)
        }
      }
    }
  }
  const ratio = (peerSide: Side, { times }: Case) =>
    rounded(median(times.ours.map((ms, at) => times[peerSide][at]! / ms)))
  const perSecond = (side: Side, { times, texts }: Case) => rounded((1_000 * texts.length) / median(times[side]), 1)
  return {
    rows: cases.map((one) => ({
      'embeddings/s': one.name,
      'ours in Node': perSecond('ours', one),
      'ours in an isolate': perSecond('isolate', one),
      'peer, padded': perSecond('padded', one),
      'peer, in turn': perSecond('sequential', one),
    })),
    ratios: {
      mixed32VsPadded: ratio('padded', mixed),
      mixed32VsSequential: ratio('sequential', mixed),
      single16VsPeer: ratio('sequential', single),
    },
    values: {
      mixed32PerSecond: perSecond('ours', mixed),
      mixed32IsolatePerSecond: perSecond('isolate', mixed),
      single16Ms: rounded(median(single.times.ours), 2),
      single16PeerMs: rounded(median(single.times.sequential), 2),
      single16IsolateMs: rounded(median(single.times.isolate), 2),
    },
  }
}

/** Our engine as the isolate runs it; whether rows may share a run is measured, as an import does. */
async function ours(folder: string): Promise<Embed> {
  const reader = folderReader(folder)
  const probe = await bootNodeOrt()
  const session = await loadGraph(probe, reader, graph)
  const task = await featureExtractionTask.load({ ort: probe, session, reader, options: {} })
  const { batchInvariant } = task.measure!()
  const model = await loadModel(await bootNodeOrt(), featureExtractionTask, {
    reader,
    graph,
    options: { batchInvariant },
  })
  return async (strings) => {
    const inputs = { text: { dtype: 'string' as const, shape: [strings.length], strings } }
    const embedding = (await model.invoke({ inputs, params: {} })).outputs.embedding as NumericTensor
    return rowsOf(Array.from(valuesOf(embedding), Number), strings.length)
  }
}

/** Over the API, as any client; each call is a caller of its own. */
function served(server: BenchServer): Embed {
  return async (texts) => {
    const reply = await server.send<{ predictions: number[][] }>('POST', '/serving-endpoints/encoder/invocations', {
      inputs: texts,
    })
    return reply.predictions
  }
}

async function peer(folder: string): Promise<Embed> {
  const { pipeline } = await transformersOnWasm(folder)
  const extract = await pipeline('feature-extraction', 'encoder', { device: 'auto', dtype: 'q8' })
  return async (texts) => {
    const output = await extract([...texts], { pooling: 'mean', normalize: true })
    return rowsOf(Array.from(output.data as Float32Array), texts.length)
  }
}

async function inTurn(embed: Embed, texts: readonly string[]): Promise<number[][]> {
  const rows: number[][] = []
  for (const text of texts) rows.push(...(await embed([text])))
  return rows
}

/** Faster but different would be wrong. */
function requireEqual(own: readonly number[][], other: readonly number[][]): void {
  for (const [row, vector] of own.entries()) {
    const cosine = vector.reduce((sum, value, at) => sum + value * other[row]![at]!, 0)
    if (!(cosine > 0.9999)) throw new Error(`Text ${row}: our embedding and the peer's differ, cosine ${cosine}.`)
  }
}

function allCases(): Case[] {
  const short = (index: number) => newText(6 + ((index * 7) % 17), index)
  const long = (index: number) => newText(122 + (index % 8), 100 + index)
  const kinds: Readonly<Record<string, (index: number) => string>> = {
    short: (index) => (index === 0 ? newText(14, 99) : short(index)),
    long,
    // As they would come: long ones among short ones.
    mixed: (index) => (index % 4 === 1 ? long(index >> 2) : short(index - ((index + 2) >> 2))),
  }
  return Object.entries(kinds).flatMap(([kind, textAt]) =>
    [1, 8, 32].flatMap((callers): Case[] => {
      // One text is short or long.
      if (kind === 'mixed' && callers === 1) return []
      const texts = Array.from({ length: callers }, (_, index) => textAt(index))
      return [{ name: `${kind} × ${callers}`, texts, times: { ours: [], padded: [], sequential: [], isolate: [] } }]
    }),
  )
}

/** Two special tokens come around the words. */
function newText(words: number, seed: number): string {
  return textOf(words, seed, encoderShape.vocabulary)
}

function rowsOf(values: readonly number[], rows: number): number[][] {
  const size = values.length / rows
  return Array.from({ length: rows }, (_, row) => values.slice(row * size, (row + 1) * size))
}
