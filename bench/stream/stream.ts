/**
 * How evenly text flows: the time from one token to the next of eight streams while a ninth request's prompt of 1,000 tokens is
 * read, and without it. With a seeded int8 decoder of 6 layers of 384, as `decode`.
 */
import { setImmediate } from 'node:timers/promises'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { bootNodeOrt } from '../../test/support/node-ort.ts'
import { memoryReader } from '../../test/support/shared-models.ts'
import { type BenchmarkResult, quantile, rounded } from '../support/benchmark.ts'
import { decoderModel } from '../support/decoder-model.ts'
import { greedyRequest, promptOfWords, wordTokenizer } from '../support/decoder-requests.ts'

const [streams, contextTokens, promptTokens, rounds] = [8, 128, 1_000, 3]
/** Tokens of each stream before the prompt comes. */
const quietTokens = 40
/** More than any stream writes until the prompt is read. */
const tokensEach = 900

/** When the tokens of a stream came. */
interface Stream {
  timesMs: number[]
  /** Resolves when it has so many tokens. */
  reach(tokens: number): Promise<void>
  /** Resolves once it is over, at its next token. */
  stop(): Promise<void>
}
type Write = (prompt: readonly number[], maxTokens: number, tenant: string) => Stream

export async function stream(): Promise<BenchmarkResult> {
  const write = await openWriter()
  const [quietMs, readingMs, ttftMs]: [number[], number[], number[]] = [[], [], []]
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const writers = Array.from({ length: streams }, (_, index) =>
      write(promptOfWords(contextTokens, 1 + index), tokensEach, 'writers'),
    )
    await Promise.all(writers.map((writer) => writer.reach(1)))
    const startMs = performance.now()
    await Promise.all(writers.map((writer) => writer.reach(quietTokens)))
    const sentMs = performance.now()
    // A tenant of its own, so that nothing of the prompt is kept.
    await write(promptOfWords(promptTokens, 100 + round), 1, `reader ${round}`).reach(1)
    const readMs = performance.now()
    await Promise.all(writers.map((writer) => writer.stop()))
    if (round === 0) continue
    ttftMs.push(readMs - sentMs)
    for (const { timesMs } of writers) {
      quietMs.push(...gapsBetween(timesMs, startMs, sentMs))
      readingMs.push(...gapsBetween(timesMs, sentMs, readMs))
    }
  }
  return resultOf({ quietMs, readingMs, ttftMs })
}

/** Times between tokens that came in a window. */
function gapsBetween(timesMs: readonly number[], fromMs: number, toMs: number): number[] {
  const within = timesMs.filter((ms) => ms >= fromMs && ms <= toMs)
  return within.slice(1).map((ms, index) => ms - within[index]!)
}

function resultOf({
  quietMs,
  readingMs,
  ttftMs,
}: Record<'quietMs' | 'readingMs' | 'ttftMs', number[]>): BenchmarkResult {
  const values = {
    p50Ms: rounded(quantile(readingMs, 0.5), 1),
    p99Ms: rounded(quantile(readingMs, 0.99), 1),
    quietP50Ms: rounded(quantile(quietMs, 0.5), 1),
    quietP99Ms: rounded(quantile(quietMs, 0.99), 1),
    ttftMs: rounded(quantile(ttftMs, 0.5), 0),
  }
  return {
    rows: [
      { what: 'ms between tokens, 8 streams', p50: values.quietP50Ms, p99: values.quietP99Ms },
      { what: 'the same while 1,000 prompt tokens are read', p50: values.p50Ms, p99: values.p99Ms },
      { what: 'ms to the first token of that prompt', p50: values.ttftMs, p99: '' },
    ],
    ratios: {
      p99OverP50: rounded(values.p99Ms / values.p50Ms),
      p99OverQuietP50: rounded(values.p99Ms / values.quietP50Ms),
    },
    values,
  }
}

/** Our task as the isolate runs it. */
async function openWriter(): Promise<Write> {
  const files = [...decoderModel({ weights: 'q8row' }), wordTokenizer()].map(
    ({ path, bytes }) => [path, bytes] as const,
  )
  const reader = memoryReader(Object.fromEntries(files))
  const ort = await bootNodeOrt()
  const session = await loadGraph(ort, reader, 'onnx/model_quantized.onnx')
  const { generate } = await textGenerationTask.load({ ort, session, reader, options: {} })
  return (prompt, maxTokens, tenant) => {
    const timesMs: number[] = []
    let stopped = false
    const read = async () => {
      for await (const event of await generate!(greedyRequest(prompt, { maxTokens, tenant }))) {
        if (event.type === 'failed') throw new Error(event.error.message)
        if (event.type === 'text-delta') timesMs.push(performance.now())
        if (stopped) break
      }
    }
    const ended = read()
    return {
      timesMs,
      async reach(tokens) {
        while (timesMs.length < tokens) await Promise.race([setImmediate(), ended])
      },
      stop() {
        stopped = true
        return ended
      },
    }
  }
}
