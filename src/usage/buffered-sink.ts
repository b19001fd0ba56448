/**
 * A sink that gathers rows for a moment and writes them together: one write serves many requests. Rows that are in the
 * buffer when the process is killed are lost; they are statistics, not the ledger.
 */
import type { InvocationRow, UsageSink } from '#contracts/usage.ts'

export interface BufferedSinkOptions {
  write(rows: readonly InvocationRow[]): Promise<void>
  delayMs?: number
  /** Beyond this many waiting rows new ones are dropped, so that a log that cannot be written never eats the memory. */
  mostRows?: number
}

/** Whoever records while no flush is under way starts one and stays alive for it. */
export function bufferedSink({ write, delayMs = 500, mostRows = 16_384 }: BufferedSinkOptions): UsageSink {
  let waiting: InvocationRow[] = []
  let flushing = false

  async function flush(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    const rows = waiting
    waiting = []
    flushing = false
    // A log that cannot be written must not fail the requests it describes.
    await write(rows).catch((error: unknown) =>
      console.error(`${rows.length} invocation rows were not written: ${error}`),
    )
  }

  return {
    record(row, keepAlive) {
      if (waiting.length < mostRows) waiting.push(row)
      if (flushing) return
      flushing = true
      keepAlive(flush())
    },
  }
}
