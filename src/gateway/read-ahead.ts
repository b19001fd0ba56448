/**
 * A stream that is read from the start, whoever asks for it when. Of several generations for one caller each waits for a place in the
 * model, and one that nobody reads keeps its place for ever.
 */

/** What came lies in memory until it is asked for: as much as the source gives. */
export function readAhead<T>(source: AsyncIterable<T>): AsyncIterableIterator<T> {
  const iterator = source[Symbol.asyncIterator]()
  const results: Promise<IteratorResult<T>>[] = []
  let isOver = false

  async function pump(): Promise<void> {
    while (!isOver) {
      const next = iterator.next()
      results.push(next)
      isOver = (await next).done === true || isOver
    }
  }
  // Whoever asks is told of a failure.
  pump().catch(() => {
    isOver = true
  })

  return {
    // While it goes on, the pump has asked for one more than was taken.
    next: async () => results.shift() ?? { value: undefined, done: true },
    async return() {
      isOver = true
      results.length = 0
      await iterator.return?.()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
