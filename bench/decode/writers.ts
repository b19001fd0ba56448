/** The sides of the comparison as functions that write a number of tokens after a prompt: our task in Node, and transformers.js. */
import { ByRowDecoder } from '#src/engine/generation/decoder-by-row.ts'
import { readDecoderPorts } from '#src/engine/generation/decoder-ports.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { folderReader } from '../../test/support/shared-models.ts'
import type { DecoderShape } from '../support/decoder-model.ts'
import { greedyRequest, wordReader } from '../support/decoder-requests.ts'
import type { transformersOnWasm } from '../support/transformers-on-wasm.ts'

/** What one stream wrote, and when. */
export interface Stream {
  tokens: number[]
  timesMs: number[]
}
export type Write = (prompt: readonly number[]) => Promise<Stream>

export interface Writing {
  shape: DecoderShape
  /** Tokens of each stream. */
  tokens: number
}

export interface Ours {
  write: Write
  ttftMs(prompt: readonly number[], tenant: string): Promise<number>
  /** What the graph writes by itself: the prompt in one run, then token by token, each in a run of its own. */
  plainly(prompt: readonly number[]): number[]
  /** Of the engine with the model in it. */
  heapBytes: number
}

/** Our task as the isolate runs it. @param folder of a model. */
export async function openOurs(folder: string, { shape, tokens }: Writing): Promise<Ours> {
  const ort = await bootNodeOrt()
  const reader = folderReader(folder)
  const session = await loadGraph(ort, reader, 'onnx/model_quantized.onnx')
  const heapBytes = ort.heapBytes
  const { generate } = await textGenerationTask.load({ ort, session, reader, options: {} })
  const tokensOf = wordReader(shape)
  return {
    heapBytes,
    async write(prompt) {
      const stream: Stream = { tokens: [], timesMs: [] }
      for await (const event of await generate!(greedyRequest(prompt, { maxTokens: tokens }))) {
        if (event.type === 'failed') throw new Error(event.error.message)
        if (event.type !== 'text-delta') continue
        stream.tokens.push(...tokensOf(event.text))
        stream.timesMs.push(performance.now())
      }
      return stream
    },
    async ttftMs(prompt, tenant) {
      for await (const event of await generate!(greedyRequest(prompt, { tenant, maxTokens: 1 }))) {
        if (event.type === 'usage-final') return event.usage.ttftMs
      }
      throw new Error('The stream ended without usage.')
    },
    plainly(prompt) {
      const bounds = { positions: shape.positions, cacheBytes: 2 ** 30, rows: 1 }
      const decoder = new ByRowDecoder(readDecoderPorts(session), bounds)
      const row = decoder.open()
      const written = [likeliest(decoder.read(row, prompt))]
      while (written.length < tokens) written.push(likeliest(decoder.step([row], [written.at(-1)!])[0]!))
      decoder.reset()
      return written
    },
  }
}

type Transformers = Awaited<ReturnType<typeof transformersOnWasm>>

/** The peer, as it comes. */
export async function openPeer(
  { AutoModelForCausalLM, StoppingCriteria, Tensor }: Transformers,
  name: string,
  { tokens }: Writing,
): Promise<Write> {
  const model = await AutoModelForCausalLM.from_pretrained(name, { device: 'auto', dtype: 'q8' })
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
      max_new_tokens: tokens,
      do_sample: false,
      stopping_criteria: new Clock(),
    })
    if (!(output instanceof Tensor)) throw new Error('The peer gave no tokens.')
    stream.tokens = Array.from(output.data as BigInt64Array, Number).slice(prompt.length)
    return stream
  }
}

export async function oneByOne(write: Write, prompts: readonly (readonly number[])[]): Promise<Stream[]> {
  const written: Stream[] = []
  for (const prompt of prompts) written.push(await write(prompt))
  return written
}

export function msPerToken({ timesMs }: Stream): number {
  return (timesMs.at(-1)! - timesMs[0]!) / (timesMs.length - 1)
}

/** Tokens per second of streams that take turns. */
export function rateInTurn(written: readonly Stream[]): number {
  return (1_000 * written.length) / written.reduce((sum, stream) => sum + msPerToken(stream), 0)
}

/** Tokens per second while all streams write. */
export function rateTogether(written: readonly Stream[]): number {
  const fromMs = Math.max(...written.map(({ timesMs }) => timesMs[0]!))
  const toMs = Math.min(...written.map(({ timesMs }) => timesMs.at(-1)!))
  const tokens = written.flatMap(({ timesMs }) => timesMs).filter((ms) => ms > fromMs && ms <= toMs).length
  return (1_000 * tokens) / (toMs - fromMs)
}

/** Faster but different would be wrong. */
export function requireEqual(written: readonly Stream[], expected: readonly (readonly number[])[]): void {
  for (const [index, { tokens }] of written.entries()) {
    if (tokens.join() !== expected[index]!.join())
      throw new Error(`Stream ${index}: ${tokens} were written, ${expected[index]} are right.`)
  }
}

function likeliest(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY))
}
