/** Generation events on the wire between workers: one JSON object a line, so that a reader never waits for more than one event. */
import { internal } from './errors.ts'
import type { GenerationEvent } from './generation.ts'

export const eventLinesType = 'application/x-ndjson'

/** An event holds one token's text, or the arguments or alternatives of one; a longer line is no event of ours. */
const longestLine = 1024 * 1024

/** A stream that asks for the next event when somebody reads, and ends the iteration when the reader goes away. */
export function eventLines(events: AsyncIterable<GenerationEvent>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const iterator = events[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`))
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

/**
 * The events of a stream. Returning early cancels it.
 *
 * @throws {ServingError} 500 where the stream ends within a line or has one that is too long. What breaks the stream itself, such as
 * the end of the isolate that writes it, is thrown as the runtime has it.
 */
export async function* readEventLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<GenerationEvent, void> {
  const reader = stream.getReader()
  // Not a TextDecoderStream: in workerd one that is cancelled stays in memory, some 5 KB for each reply that nobody waited for.
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      rest += decoder.decode(value, { stream: true })
      if (rest.length > longestLine) throw internal('The model sent a line that is no event.')
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const line of lines) yield JSON.parse(line) as GenerationEvent
    }
    if (rest !== '') throw internal('The model stopped in the middle of an event.')
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}
