/** Server-sent events: how one is written, and a body of them that is written only as fast as it is read. */
import { within } from './held-reply.ts'

const encoder = new TextEncoder()

/** A comment, which readers pass over. */
const signOfLife = ': waiting\n\n'

/** An event without a name; `json` has no line breaks, as JSON text never does. */
export function dataEvent(json: string): string {
  return `data: ${json}\n\n`
}

/** An event named as its `type` says. */
export function typedEvent(value: { type: string; [field: string]: unknown }): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`
}

export const eventStreamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // Proxies that gather a reply before they hand it on leave this one alone.
  'x-accel-buffering': 'no',
} as const

/**
 * A body of texts. Nothing is asked of `texts` before the reader wants it; where it has nothing to say for `silenceMs`, a comment
 * goes out, by which the runtime notices a reader who has gone. He is told to `onCancel`, which wakes the source if it waits for
 * something, and then the iteration is ended.
 */
export function textStream(
  texts: AsyncIterator<string>,
  silenceMs: number,
  onCancel: () => void,
): ReadableStream<Uint8Array> {
  let asked: Promise<IteratorResult<string>> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          asked ??= texts.next()
          const next = await within(silenceMs, asked)
          if (!next) return controller.enqueue(encoder.encode(signOfLife))
          asked = undefined
          if (next.done) return controller.close()
          // An empty chunk would leave the reader waiting without a further pull.
          if (next.value !== '') return controller.enqueue(encoder.encode(next.value))
        }
      },
      cancel() {
        onCancel()
        // Not awaited: it takes effect only once a text that is under way has come or failed.
        void texts.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}
