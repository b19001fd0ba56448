/**
 * Memory for shards, used again and again. A fresh 1 MiB buffer costs a quarter of what hashing it does (the kernel clears its
 * pages) and stays until the next garbage collection, so a model that is streamed through fresh ones raises the memory of its
 * process by whatever the collector is late. Buffers that are never given back are ordinary garbage.
 */
export interface Buffers {
  /** Resolves to `sizeBytes` bytes of any content, which nobody else holds. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer>
  /** Takes back the memory of bytes that nobody reads any more. */
  give(bytes: Uint8Array): void
}

/** Keeps at most `count` buffers between uses. */
export function bufferPool(count = 8): Buffers {
  const free: ArrayBuffer[] = []
  return {
    take(sizeBytes) {
      const at = free.findIndex((buffer) => buffer.byteLength >= sizeBytes)
      return at < 0 ? new Uint8Array(sizeBytes) : new Uint8Array(free.splice(at, 1)[0]!, 0, sizeBytes)
    },
    give({ buffer }) {
      if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0 || free.includes(buffer)) return
      free.push(buffer)
      // The largest fit every shard.
      free.sort((a, b) => b.byteLength - a.byteLength)
      if (free.length > count) free.pop()
    },
  }
}
