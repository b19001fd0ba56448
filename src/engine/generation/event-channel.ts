/** Events from whoever makes them to the one who reads them, in order; the reader may come late and leave early. */
export class EventChannel<T> implements AsyncIterableIterator<T> {
  readonly #events: T[] = []
  readonly #abandoned: () => void
  #ended = false
  #wake: (() => void) | undefined

  /** `abandoned` is called when the reader leaves before the end. */
  constructor(abandoned: () => void) {
    this.#abandoned = abandoned
  }

  push(event: T): void {
    if (!this.#ended) this.#events.push(event)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#events.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#events.length > 0 ? { value: this.#events.shift()!, done: false } : { value: undefined, done: true }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (!this.#ended) {
      this.#ended = true
      this.#abandoned()
    }
    this.#events.length = 0
    this.#wake?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
