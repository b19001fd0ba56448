/**
 * A stream's bytes through one buffer. Fresh chunks would each stay until the next garbage collection, which for a large model
 * comes late: the memory of a load would be what the collector happens to leave.
 */

/**
 * Larger ones save turns between host and isolate and lose more than that: these bytes are still in the processor's cache when they
 * are copied to the heap. 28 MiB took 7 ms less than with buffers of 1 MiB, 128 KiB cost more again.
 */
const bufferBytes = 256 * 1024

/** In workerd one call fills a whole buffer, where `read` comes back with what one write brought: 64 KiB at most. */
interface FillingReader extends ReadableStreamBYOBReader {
  readAtLeast?(
    minBytes: number,
    view: Uint8Array<ArrayBuffer>,
  ): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>>
}

/** Yields chunks that are valid until the next one is asked for; whoever stops early cancels the stream. */
export async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = byteReader(stream)
  if (!reader) {
    yield* stream as unknown as AsyncIterable<Uint8Array>
    return
  }
  let buffer = new ArrayBuffer(bufferBytes)
  let ended = false
  try {
    for (;;) {
      const view = new Uint8Array(buffer)
      const { value, done } = reader.readAtLeast
        ? await reader.readAtLeast(view.byteLength, view)
        : await reader.read(view)
      ended = done
      if (value && value.byteLength > 0) yield value
      if (done) return
      buffer = value.buffer
    }
  } finally {
    if (!ended) await reader.cancel()
  }
}

/** Undefined for a stream of chunks that are somebody else's, which cannot be read into a buffer of ours. */
function byteReader(stream: ReadableStream<Uint8Array>): FillingReader | undefined {
  try {
    return stream.getReader({ mode: 'byob' })
  } catch {
    return undefined
  }
}
