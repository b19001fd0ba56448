/** The same decoder behind an endpoint of a server: workerd's figures, as a client at the other end of the stream sees them. */
import { buildWorkers } from '#src/cli/build-workers.ts'
import { type DecoderShape, decoderModel } from '../support/decoder-model.ts'
import { wordReader, wordTokenizer } from '../support/decoder-requests.ts'
import { inOrtForm, startBenchServer } from '../support/served-encoder.ts'
import type { Stream, Write, Writing } from './writers.ts'

const name = 'decoder'

export interface Served {
  write: Write
  stop(): Promise<void>
}

/** Resolves once the endpoint answers. */
export async function openServed({ shape, tokens }: Writing): Promise<Served> {
  const server = await startBenchServer({ idleMs: 600_000, workers: await buildWorkers() })
  try {
    await server.serve(name, await servedFiles(shape), { task: 'text-generation' })
  } catch (error) {
    await server.stop()
    throw error
  }
  const tokensOf = wordReader(shape)
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  return {
    async write(prompt) {
      const body = { model: name, prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, stream: true }
      const url = new URL('/v1/completions', server.url)
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
      if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`)
      const stream: Stream = { tokens: [], timesMs: [] }
      for await (const text of textsIn(response.body)) {
        const written = tokensOf(text)
        stream.tokens.push(...written)
        // Tokens that come in one piece were on their way together.
        stream.timesMs.push(...written.map(() => performance.now()))
      }
      return stream
    },
    stop: () => server.stop(),
  }
}

/** As importing leaves them, but for the tokenizer, which says nothing of words that are read. */
async function servedFiles(shape: DecoderShape) {
  const files = decoderModel({ weights: 'q8row', shape }).filter(({ path }) => path !== 'tokenizer.json')
  return inOrtForm([...files, wordTokenizer(shape)])
}

/** The texts of a stream of completions. */
async function* textsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      if (!line.startsWith('data: {')) continue
      const event = JSON.parse(line.slice('data: '.length)) as { choices?: { text?: string }[]; error?: unknown }
      if (event.error) throw new Error(JSON.stringify(event.error))
      yield event.choices?.[0]?.text ?? ''
    }
  }
}
