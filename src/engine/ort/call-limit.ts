/**
 * A bound on the time of one call into ONNX Runtime. The call holds the only thread, so nothing outside of it can end it; but the
 * engine calls out itself, at least once for each pass through the body of a loop and for most nodes, since every C++ call that
 * may throw goes through JavaScript. There the clock is looked at, and past the limit an error unwinds the engine.
 *
 * What does not call out is a single kernel at work: how long that takes is bounded by the memory for its operands alone.
 */
/** A look at the clock takes longer than most of the calls, so only every so many of them look. */
const callsPerLook = 8

export class CallLimit {
  /** Milliseconds that one call may take. */
  limitMs = Number.POSITIVE_INFINITY
  #endMs = Number.POSITIVE_INFINITY
  #calls = 0

  /** Runs `call`, which is ended past the limit; the engine is unusable then. @throws {CallTooLong} */
  during<T>(call: () => T): T {
    this.#endMs = Date.now() + this.limitMs
    try {
      return call()
    } finally {
      this.#endMs = Number.POSITIVE_INFINITY
    }
  }

  /** Puts the look at the clock before every function that the engine may call. */
  watch(imports: WebAssembly.Imports): void {
    for (const group of Object.values(imports)) {
      for (const [name, value] of Object.entries(group)) {
        if (typeof value === 'function') group[name] = this.#watched(value as (...values: unknown[]) => unknown)
      }
    }
  }

  #watched(outside: (...values: unknown[]) => unknown): (...values: unknown[]) => unknown {
    return (...values) => {
      this.#calls = (this.#calls + 1) % callsPerLook
      if (this.#calls === 0 && Date.now() > this.#endMs) throw new CallTooLong(this.limitMs)
      return outside(...values)
    }
  }
}

/** Final for this engine: the same work would take as long again. */
export class CallTooLong extends Error {
  constructor(limitMs: number) {
    super(`it took longer than ${limitMs / 1000} s, the most that the graph may work at a stretch`)
    this.name = 'CallTooLong'
  }
}
