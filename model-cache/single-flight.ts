/**
 * Callers that want the same thing at once share one piece of work. Work that failed is not remembered, and neither is work
 * that is done: the next caller starts anew.
 */
export interface SingleFlight<K, T> {
  /**
   * Resolves to what the work under way for `key` comes to, starting it where there is none. A caller whose signal aborts is
   * rejected at once and alone; when the last one has left, the work's own signal aborts. All callers get the same value.
   */
  run(key: K, work: (signal: AbortSignal) => Promise<T>, options?: { signal?: AbortSignal | undefined }): Promise<T>
}

interface Flight<T> {
  result: Promise<T>
  waiting: number
  stop: AbortController
}

export function singleFlight<K, T>(): SingleFlight<K, T> {
  const flights = new Map<K, Flight<T>>()

  function start(key: K, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController()
    const flight: Flight<T> = { result: Promise.resolve().then(() => work(stop.signal)), waiting: 0, stop }
    const land = () => {
      if (flights.get(key) === flight) flights.delete(key)
    }
    flight.result.then(land, land)
    flights.set(key, flight)
    return flight
  }

  return {
    async run(key, work, { signal } = {}) {
      signal?.throwIfAborted()
      const flight = flights.get(key) ?? start(key, work)
      flight.waiting += 1
      try {
        return await abortable(flight.result, signal)
      } finally {
        flight.waiting -= 1
        if (flight.waiting === 0 && flights.get(key) === flight) {
          // Only callers that gave up leave work under way; whoever comes now must not join what is being cancelled.
          flights.delete(key)
          flight.stop.abort(signal?.reason)
        }
      }
    },
  }
}

function abortable<T>(result: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return result
  return new Promise<T>((resolve, reject) => {
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
