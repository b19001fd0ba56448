/**
 * Events from whoever makes them to the one who reads them, in order; the reader may come late and leave early. A reader who is slow
 * makes the makers wait: what he has not taken lies in memory, and he may never come for it.
 */

/** Events that may lie there: seconds of a fast model's text, and at most a megabyte where each has its log probabilities. */
const mostWaiting = 256

export class EventChannel<T> implements AsyncIterableIterator<T> {
  readonly #events: T[] = []
  readonly #abandoned: () => void
  #ended = false
  #wake: (() => void) | undefined
  #room: PromiseWithResolvers<void> | undefined

  /** `abandoned` is called when the reader leaves before the end. */
  constructor(abandoned: () => void) {
    this.#abandoned = abandoned
  }

  /** Takes every event, also beyond the bound: a maker asks for `room` before it makes more. */
  push(event: T): void {
    if (!this.#ended) this.#events.push(event)
    this.#wake?.()
  }

  /** Undefined while there is room for more; else resolves once the reader has taken half of it, or has left. */
  room(): Promise<void> | undefined {
    if (this.#ended || (!this.#room && this.#events.length < mostWaiting)) return undefined
    this.#room ??= Promise.withResolvers<void>()
    return this.#room.promise
  }

  end(): void {
    this.#ended = true
    this.#openRoom()
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#events.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#events.length === 0) return { value: undefined, done: true }
    const value = this.#events.shift()!
    if (this.#events.length <= mostWaiting / 2) this.#openRoom()
    return { value, done: false }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (!this.#ended) {
      this.#ended = true
      this.#abandoned()
    }
    this.#events.length = 0
    this.#openRoom()
    this.#wake?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #openRoom(): void {
    this.#room?.resolve()
    this.#room = undefined
  }
}
