/**
 * Decoding with a seeded int8 decoder of 6 layers of 384: one stream at 1,024 tokens of context, 8 streams at 256, and the time to
 * the first token of a prompt whose beginning is kept.
 *
 * Against transformers.js on the same wasm build and the same file, in the same process, in turns. It answers requests one after
 * another, so its 8 streams take their turns. Rates are of decoding alone: reading the prompt costs both sides the same kernels.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { folderReader } from '../../test/support/shared-models.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { decoderModel, decoderShape } from '../support/decoder-model.ts'
import { greedyRequest, promptOfWords, wordTokenizer } from '../support/decoder-requests.ts'
import { specialTokens, wordOf } from '../support/seeded-weights.ts'
import { transformersOnWasm } from '../support/transformers-on-wasm.ts'

const [longContext, shortContext] = [1_024, 256]
const [tokensEach, streams, rounds] = [33, 8, 3]

/** What one stream wrote, and when. */
interface Stream {
  tokens: number[]
  timesMs: number[]
}
type Write = (prompt: readonly number[]) => Promise<Stream>

interface Sides {
  ours: Write & { ttftMs(prompt: readonly number[], tenant: string): Promise<number> }
  peer: Write
}

export async function decode(): Promise<BenchmarkResult> {
  const folder = mkdtempSync(join(tmpdir(), 'glim-bench-'))
  try {
    for (const { path, bytes } of [...decoderModel({ weights: 'q8row' }), wordTokenizer()]) {
      mkdirSync(dirname(join(folder, 'decoder', path)), { recursive: true })
      writeFileSync(join(folder, 'decoder', path), bytes)
    }
    return await compare({ ours: await openOurs(join(folder, 'decoder')), peer: await openPeer(folder) })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function compare({ ours, peer }: Sides): Promise<BenchmarkResult> {
  const long = promptOfWords(longContext, 1)
  const prompts = Array.from({ length: streams }, (_, stream) => promptOfWords(shortContext, 2 + stream))
  const measured = { step: [] as number[], peerStep: [] as number[], one: [] as number[], eight: [] as number[] }
  const peerEight: number[] = []
  // The first round warms both sides up, and keeps our prompts' beginnings.
  for (let round = 0; round <= rounds; round++) {
    const [own, other] = [await ours(long), await peer(long)]
    const alone = await ours(prompts[0]!)
    const together = await Promise.all(prompts.map(ours))
    const inTurn = await oneByOne(peer, prompts)
    requireEqual([own, alone, ...together], [other, inTurn[0]!, ...inTurn])
    if (round === 0) continue
    measured.step.push(msPerToken(own))
    measured.peerStep.push(msPerToken(other))
    measured.one.push(1_000 / msPerToken(alone))
    measured.eight.push(rateTogether(together))
    peerEight.push(1_000 / (inTurn.reduce((sum, stream) => sum + msPerToken(stream), 0) / streams))
  }
  const { fresh, reused } = await timesToFirstToken(ours)
  const ratio = (over: readonly number[], under: readonly number[]) =>
    rounded(median(over.map((value, round) => value / under[round]!)))
  const figures = {
    stepAt1024Ms: rounded(median(measured.step), 2),
    stepAt1024PeerMs: rounded(median(measured.peerStep), 2),
    streams1TokensPerSecond: rounded(median(measured.one), 0),
    streams8TokensPerSecond: rounded(median(measured.eight), 0),
    streams8PeerTokensPerSecond: rounded(median(peerEight), 0),
    ttftMs: rounded(median(fresh), 0),
    ttftReusedMs: rounded(median(reused), 0),
  }
  return {
    rows: [
      { what: 'ms/token at 1,024', ours: figures.stepAt1024Ms, peer: figures.stepAt1024PeerMs },
      {
        what: 'tokens/s, 1 stream at 256',
        ours: figures.streams1TokensPerSecond,
        peer: figures.streams8PeerTokensPerSecond,
      },
      {
        what: 'tokens/s, 8 streams at 256',
        ours: figures.streams8TokensPerSecond,
        peer: figures.streams8PeerTokensPerSecond,
      },
      {
        what: 'ms to first token, 320 read / 256 of them kept',
        ours: `${figures.ttftMs} / ${figures.ttftReusedMs}`,
        peer: '',
      },
    ],
    ratios: {
      stepAt1024VsPeer: ratio(measured.step, measured.peerStep),
      streams8VsOne: ratio(measured.eight, measured.one),
      streams8VsPeer: ratio(measured.eight, peerEight),
      prefixTtft: ratio(reused, fresh),
    },
    values: figures,
  }
}

/** 256 tokens that a tenant has sent before, and 64 new ones; the same prompt of a tenant who has sent nothing. */
async function timesToFirstToken(ours: Sides['ours']): Promise<{ fresh: number[]; reused: number[] }> {
  const [fresh, reused]: [number[], number[]] = [[], []]
  const shared = promptOfWords(256, 100)
  await ours.ttftMs([...shared, ...promptOfWords(64, 101)], 'known')
  for (let round = 0; round < 2 * rounds; round++) {
    const prompt = [...shared, ...promptOfWords(64, 102 + round)]
    fresh.push(await ours.ttftMs(prompt, `stranger ${round}`))
    reused.push(await ours.ttftMs(prompt, 'known'))
  }
  return { fresh, reused }
}

/** Our task as the isolate runs it. */
async function openOurs(folder: string): Promise<Sides['ours']> {
  const ort = await bootNodeOrt()
  const reader = folderReader(folder)
  const session = await loadGraph(ort, reader, 'onnx/model_quantized.onnx')
  const yieldTurn = async () => void (await setImmediate())
  const { generate } = await textGenerationTask.load({ ort, session, reader, options: {}, yieldTurn })
  const write: Write = async (prompt) => {
    const stream: Stream = { tokens: [], timesMs: [] }
    for await (const event of await generate!(greedyRequest(prompt, { maxTokens: tokensEach }))) {
      if (event.type === 'failed') throw new Error(event.error.message)
      if (event.type !== 'text-delta') continue
      stream.tokens.push(...tokensOf(event.text))
      stream.timesMs.push(performance.now())
    }
    return stream
  }
  return Object.assign(write, {
    async ttftMs(prompt: readonly number[], tenant: string) {
      for await (const event of await generate!(greedyRequest(prompt, { tenant, maxTokens: 1 }))) {
        if (event.type === 'usage-final') return event.usage.ttftMs
      }
      throw new Error('The stream ended without usage.')
    },
  })
}

async function openPeer(folder: string): Promise<Write> {
  const { AutoModelForCausalLM, StoppingCriteria, Tensor } = await transformersOnWasm(folder)
  const model = await AutoModelForCausalLM.from_pretrained('decoder', { device: 'auto', dtype: 'q8' })
  return async (prompt) => {
    const stream: Stream = { tokens: [], timesMs: [] }
    // Called after each token; the one place of its loop where the time can be taken without decoding text.
    class Clock extends StoppingCriteria {
      override _call(ids: number[][]): boolean[] {
        stream.timesMs.push(performance.now())
        return ids.map(() => false)
      }
    }
    const integers = (values: readonly number[]) =>
      new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
    const output = await model.generate({
      inputs: integers(prompt),
      attention_mask: integers(prompt.map(() => 1)),
      max_new_tokens: tokensEach,
      do_sample: false,
      stopping_criteria: new Clock(),
    })
    if (!(output instanceof Tensor)) throw new Error('The peer gave no tokens.')
    stream.tokens = Array.from(output.data as BigInt64Array, Number).slice(prompt.length)
    return stream
  }
}

async function oneByOne(write: Write, prompts: readonly (readonly number[])[]): Promise<Stream[]> {
  const written: Stream[] = []
  for (const prompt of prompts) written.push(await write(prompt))
  return written
}

function msPerToken({ timesMs }: Stream): number {
  return (timesMs.at(-1)! - timesMs[0]!) / (timesMs.length - 1)
}

/** Tokens per second while all streams write. */
function rateTogether(written: readonly Stream[]): number {
  const fromMs = Math.max(...written.map(({ timesMs }) => timesMs[0]!))
  const toMs = Math.min(...written.map(({ timesMs }) => timesMs.at(-1)!))
  const tokens = written.flatMap(({ timesMs }) => timesMs).filter((ms) => ms > fromMs && ms <= toMs).length
  return (1_000 * tokens) / (toMs - fromMs)
}

/** Faster but different would be wrong. */
function requireEqual(own: readonly Stream[], other: readonly Stream[]): void {
  for (const [index, { tokens }] of own.entries()) {
    const others = other[index]!.tokens
    if (tokens.length !== tokensEach || tokens.join() !== others.join())
      throw new Error(`Stream ${index}: we wrote ${tokens}, the peer ${others}.`)
  }
}

const tokenByWord = new Map(
  Array.from({ length: decoderShape.vocabulary }, (_, id) => [wordOf(id), id] as const).slice(specialTokens.length),
)

function tokensOf(text: string): number[] {
  return (text.match(/.{4}/g) ?? []).map((word) => tokenByWord.get(word)!)
}
