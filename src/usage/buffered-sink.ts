/**
 * A sink that gathers rows for a moment and writes them together: one write serves many requests. Rows that are in the
 * buffer when the process is killed are lost; they are statistics, not the ledger.
 */
import type { InvocationRow, UsageSink } from '#contracts/usage.ts'

export interface BufferedSinkOptions {
  write(rows: readonly InvocationRow[]): Promise<void>
  /** Keeps the runtime alive until the promise settles. */
  waitUntil(promise: Promise<unknown>): void
  delayMs?: number
  mostRows?: number
}

interface Buffer {
  rows: InvocationRow[]
  flushing: boolean
}

/** The rows of one isolate; shared by all its requests. */
export function newBuffer(): Buffer {
  return { rows: [], flushing: false }
}

/** One request's view of the buffer: whoever finds no flush under way starts one and stays alive for it. */
export function bufferedSink(
  buffer: Buffer,
  { write, waitUntil, delayMs = 100, mostRows = 4_096 }: BufferedSinkOptions,
): UsageSink {
  async function flush(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    const rows = buffer.rows
    buffer.rows = []
    buffer.flushing = false
    // A log that cannot be written must not fail the requests it describes.
    await write(rows).catch((error: unknown) =>
      console.error(`${rows.length} invocation rows were not written: ${error}`),
    )
  }

  return {
    record(row) {
      if (buffer.rows.length < mostRows) buffer.rows.push(row)
      if (buffer.flushing) return
      buffer.flushing = true
      waitUntil(flush())
    },
  }
}
