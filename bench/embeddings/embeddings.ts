/**
 * Embeddings of a MiniLM-shaped int8 model: 32 texts that come at once (24 of 8 to 24 tokens, 8 of about 128), and one short text.
 *
 * Against transformers.js on the same wasm build and the same file, in the same process, in turns: one call with all texts, which
 * pads them to the longest; 32 calls one after another; one call with one text.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { featureExtractionTask } from '#src/engine/tasks/feature-extraction.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { folderReader } from '../../test/support/shared-models.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { encoderModel, encoderShape } from '../support/encoder-model.ts'
import { textOf } from '../support/seeded-weights.ts'
import { transformersOnWasm } from '../support/transformers-on-wasm.ts'

const graph = 'onnx/model_quantized.onnx'
const [rounds, warmUpRounds] = [7, 2]
const singleCalls = 30

type Embed = (texts: readonly string[]) => Promise<number[][]>

export async function embeddings(): Promise<BenchmarkResult> {
  const folder = mkdtempSync(join(tmpdir(), 'glim-bench-'))
  try {
    for (const { path, bytes } of encoderModel({ weights: 'q8row' })) {
      mkdirSync(dirname(join(folder, 'encoder', path)), { recursive: true })
      writeFileSync(join(folder, 'encoder', path), bytes)
    }
    return await compare(await ours(join(folder, 'encoder')), await peer(folder))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function compare(own: Embed, peer: Embed): Promise<BenchmarkResult> {
  const texts = mixedTexts()
  const single = [newText(14, 99)]
  requireEqual(await own(texts), await inTurn(peer, texts))

  const times: Record<string, number[]> = {}
  const time = async (name: string, work: () => Promise<unknown>) => {
    const startedMs = performance.now()
    await work()
    times[name] ??= []
    times[name].push(performance.now() - startedMs)
  }
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    if (round === warmUpRounds) for (const name of Object.keys(times)) times[name] = []
    await time('mixedOurs', () => Promise.all(texts.map((text) => own([text]))))
    await time('mixedPadded', () => peer(texts))
    await time('mixedSequential', () => inTurn(peer, texts))
    // Call by call in turns, so that whatever else the machine does meets both sides.
    for (let call = 0; call < singleCalls; call++) {
      await time('singleOurs', () => own(single))
      await time('singlePeer', () => peer(single))
    }
  }
  const ratio = (peerSide: string, ownSide: string) =>
    rounded(median(times[ownSide]!.map((ms, at) => times[peerSide]![at]! / ms)))
  const perSecond = (name: string, count: number) => rounded((1_000 * count) / median(times[name]!), 1)
  const sides = { mixedOurs: 32, mixedPadded: 32, mixedSequential: 32, singleOurs: 1, singlePeer: 1 }
  return {
    rows: Object.entries(sides).map(([side, count]) => ({
      side,
      ms: rounded(median(times[side]!), 2),
      'embeddings/s': perSecond(side, count),
    })),
    ratios: {
      mixed32VsPadded: ratio('mixedPadded', 'mixedOurs'),
      mixed32VsSequential: ratio('mixedSequential', 'mixedOurs'),
      single16VsPeer: ratio('singlePeer', 'singleOurs'),
    },
    values: {
      mixed32PerSecond: perSecond('mixedOurs', 32),
      single16Ms: rounded(median(times.singleOurs!), 2),
      single16PeerMs: rounded(median(times.singlePeer!), 2),
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

function mixedTexts(): string[] {
  const short = Array.from({ length: 24 }, (_, index) => newText(6 + ((index * 7) % 17), index))
  const long = Array.from({ length: 8 }, (_, index) => newText(122 + index, 100 + index))
  // As they would come: long ones among short ones.
  return short.flatMap((text, index) => (index % 3 === 0 ? [text, long[index / 3]!] : [text]))
}

/** Two special tokens come around the words. */
function newText(words: number, seed: number): string {
  return textOf(words, seed, encoderShape.vocabulary)
}

function rowsOf(values: readonly number[], rows: number): number[][] {
  const size = values.length / rows
  return Array.from({ length: rows }, (_, row) => values.slice(row * size, (row + 1) * size))
}
