/**
 * A stream's bytes through one buffer. Fresh chunks would each stay until the next garbage collection, which for a large model
 * comes late: the memory of a load would be what the collector happens to leave.
 */
const bufferBytes = 256 * 1024

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
      const { value, done } = await reader.read(new Uint8Array(buffer))
      ended = done
      if (done) return
      yield value
      buffer = value.buffer
    }
  } finally {
    if (!ended) await reader.cancel()
  }
}

/** Undefined for a stream of chunks that are somebody else's, which cannot be read into a buffer of ours. */
function byteReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: 'byob' })
  } catch {
    return undefined
  }
}
