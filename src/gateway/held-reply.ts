/**
 * A reply in one piece that is long in coming. The runtime learns that a caller has gone only when it writes to him, so a body is
 * begun and gets a space now and then, which JSON allows ahead of a document; whoever has gone is noticed at the next one.
 */

export interface Ending {
  /** The document, or what to say in its place. */
  text: string
  /** False: the body is broken off after the text, so that no client takes it for an answer. */
  isWhole: boolean
}

/** Resolves to undefined where the promise takes longer. */
export async function within<T>(limitMs: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), limitMs)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A space at once and then each `everyMs`, until there is an ending. `onCancel` is told of a reader who has gone. */
export function heldReply(ending: Promise<Ending>, everyMs: number, onCancel: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let isBegun = false
  let isBroken = false
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (isBroken) return controller.error(new Error('The reply has failed.'))
        const ended = isBegun ? await within(everyMs, ending) : undefined
        isBegun = true
        controller.enqueue(encoder.encode(ended?.text ?? ' '))
        if (ended?.isWhole) controller.close()
        isBroken = ended?.isWhole === false
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  )
}
