/**
 * Decoding with seeded int8 decoders: one of 6 layers of 384, with one stream at 1,024 tokens of context, 8 streams at 256, and the
 * time to the first token of a prompt whose beginning is kept; and one in the shape of SmolLM2-135M, with one stream and with 8.
 *
 * Against transformers.js on the same wasm build and the same file, in the same process, in turns. It answers requests one after
 * another, so its 8 streams take their turns. Rates are of decoding alone. The peer is left as it comes: its engine reads prompts
 * with another attention kernel than ours (`environment.ts`), which rounds differently, so its words are not ours to the last tie.
 * What is right is what the graph writes by itself, in our engine, with nothing batched, cut into pieces or kept.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { type DecoderShape, decoderModel, decoderShape, smolShape, weightsPerToken } from '../support/decoder-model.ts'
import { promptOfWords, wordTokenizer } from '../support/decoder-requests.ts'
import { readBytesPerSecond } from '../support/heap-bandwidth.ts'
import { transformersOnWasm } from '../support/transformers-on-wasm.ts'
import { openServed } from './isolate.ts'
import { smolDecoder } from './smol.ts'
import {
  msPerToken, type Ours, oneByOne, openOurs, openPeer, rateInTurn, rateTogether, requireEqual, type Write,
} from './writers.ts' // biome-ignore format: names

const [longContext, shortContext] = [1_024, 256]
const [tokens, streams, rounds] = [33, 8, 3]

export async function decode(): Promise<BenchmarkResult> {
  const folder = mkdtempSync(join(tmpdir(), 'glim-bench-'))
  try {
    const transformers = await transformersOnWasm(folder)
    const writing = { shape: decoderShape, tokens }
    const small = await smallDecoder(
      await openOurs(writeModel(folder, 'decoder', decoderShape), writing),
      await openPeer(transformers, 'decoder', writing),
    )
    const smol = await smolDecoder(writeModel(folder, 'smol', smolShape), transformers)
    return {
      rows: [...small.rows, ...smol.rows],
      ratios: { ...small.ratios, ...smol.ratios },
      values: { ...small.values, ...smol.values },
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Writes the files of a model; returns their folder. */
function writeModel(folder: string, name: string, shape: DecoderShape): string {
  for (const { path, bytes } of [...decoderModel({ weights: 'q8row', shape }), wordTokenizer(shape)]) {
    const file = join(folder, name, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
  return join(folder, name)
}

async function smallDecoder(ours: Ours, peer: Write): Promise<BenchmarkResult> {
  const long = promptOfWords(longContext, 1)
  const prompts = Array.from({ length: streams }, (_, stream) => promptOfWords(shortContext, 2 + stream))
  const right = [long, ...prompts].map((prompt) => ours.plainly(prompt))
  const measured = { step: [] as number[], one: [] as number[], eight: [] as number[] }
  const peers = { step: [] as number[], eight: [] as number[] }
  // The first round warms both sides up, and keeps our prompts' beginnings.
  for (let round = 0; round <= rounds; round++) {
    const [own, other] = [await ours.write(long), await peer(long)]
    const alone = await ours.write(prompts[0]!)
    const together = await Promise.all(prompts.map(ours.write))
    const inTurn = await oneByOne(peer, prompts)
    requireEqual([own, ...together, alone], [...right, right[1]!])
    if (round === 0) continue
    measured.step.push(msPerToken(own))
    measured.one.push(1_000 / msPerToken(alone))
    measured.eight.push(rateTogether(together))
    peers.step.push(msPerToken(other))
    peers.eight.push(rateInTurn(inTurn))
  }
  const { fresh, reused } = await timesToFirstToken(ours)
  const isolate = await inIsolate(ours)
  const leastMs = (1_000 * weightsPerToken(decoderShape)) / (await readBytesPerSecond(weightsPerToken(decoderShape)))
  const ratio = (over: readonly number[], under: readonly number[]) =>
    rounded(median(over.map((value, round) => value / under[round]!)))
  const figures = {
    stepAt1024Ms: rounded(median(measured.step), 2),
    stepAt1024PeerMs: rounded(median(peers.step), 2),
    streams1TokensPerSecond: rounded(median(measured.one), 0),
    streams8TokensPerSecond: rounded(median(measured.eight), 0),
    streams8PeerTokensPerSecond: rounded(median(peers.eight), 0),
    ttftMs: rounded(median(fresh), 0),
    ttftReusedMs: rounded(median(reused), 0),
    ...isolate,
    leastMsPerToken: rounded(leastMs, 2),
    bandwidthShare: rounded((leastMs * median(measured.one)) / 1_000),
  }
  const peerRate = figures.streams8PeerTokensPerSecond
  return {
    rows: [
      { what: 'ms/token at 1,024', ours: figures.stepAt1024Ms, isolate: isolate.isolateStepAt1024Ms, peer: figures.stepAt1024PeerMs },
      { what: 'tokens/s, 1 stream at 256', ours: figures.streams1TokensPerSecond, isolate: isolate.isolate1TokensPerSecond, peer: peerRate },
      { what: 'tokens/s, 8 streams at 256', ours: figures.streams8TokensPerSecond, isolate: isolate.isolate8TokensPerSecond, peer: peerRate },
      { what: 'ms to first token, 320 read / 256 of them kept', ours: `${figures.ttftMs} / ${figures.ttftReusedMs}` },
      { what: 'ms to read all weights once, and its share of a token of 1 stream', ours: `${figures.leastMsPerToken} / ${figures.bandwidthShare}` },
    ], // biome-ignore format: a table
    ratios: {
      stepAt1024VsPeer: ratio(measured.step, peers.step),
      streams8VsOne: ratio(measured.eight, measured.one),
      streams8VsPeer: ratio(measured.eight, peers.eight),
      prefixTtft: ratio(reused, fresh),
    },
    values: figures,
  }
}

/** 256 tokens that a tenant has sent before, and 64 new ones; the same prompt of a tenant who has sent nothing. */
async function timesToFirstToken(ours: Ours): Promise<{ fresh: number[]; reused: number[] }> {
  const [fresh, reused]: [number[], number[]] = [[], []]
  const shared = promptOfWords(256, 100)
  await ours.ttftMs([...shared, ...promptOfWords(64, 101)], 'known')
  for (let round = 0; round < 3 * rounds; round++) {
    const prompt = [...shared, ...promptOfWords(64, 102 + round)]
    fresh.push(await ours.ttftMs(prompt, `stranger ${round}`))
    reused.push(await ours.ttftMs(prompt, 'known'))
  }
  return { fresh, reused }
}

/** Its memory keeps the beginnings of fewer prompts, so these have one in common: else the first stream ends while others are read. */
async function inIsolate(ours: Ours) {
  const long = promptOfWords(longContext, 1)
  const own = 32
  const prompts = Array.from({ length: streams }, (_, stream) => [
    ...promptOfWords(shortContext - own, 2),
    ...promptOfWords(own, 20 + stream),
  ])
  const right = [long, ...prompts].map((prompt) => ours.plainly(prompt))
  const { write, stop } = await openServed({ shape: decoderShape, tokens })
  const [step, one, eight]: [number[], number[], number[]] = [[], [], []]
  try {
    for (let round = 0; round <= rounds; round++) {
      const [far, alone] = [await write(long), await write(prompts[0]!)]
      const together = await Promise.all(prompts.map(write))
      requireEqual([far, ...together, alone], [...right, right[1]!])
      if (round === 0) continue
      step.push(msPerToken(far))
      one.push(1_000 / msPerToken(alone))
      eight.push(rateTogether(together))
    }
  } finally {
    await stop()
  }
  return {
    isolateStepAt1024Ms: rounded(median(step), 2),
    isolate1TokensPerSecond: rounded(median(one), 0),
    isolate8TokensPerSecond: rounded(median(eight), 0),
  }
}
