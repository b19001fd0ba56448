/** What a bounded store remembers about its blobs: how large each is and which was used last. */
import type { Digest } from '#contracts/manifest.ts'

export type Awaitable<T> = T | Promise<T>

export interface IndexedBlob {
  digest: Digest
  sizeBytes: number
}

/**
 * The seam that a Durable Object fills with SQL. Last use may be written late: what a crash forgets changes the order of eviction
 * and nothing else.
 */
export interface UsageIndex {
  put(digest: Digest, sizeBytes: number): Awaitable<void>
  touch(digest: Digest): Awaitable<void>
  delete(digest: Digest): Awaitable<void>
  has(digest: Digest): Awaitable<boolean>
  /** Bytes of all blobs together. */
  totalBytes(): Awaitable<number>
  /** All blobs, least recently used first; read only as far as there is need. */
  candidates(): Iterable<IndexedBlob> | AsyncIterable<IndexedBlob>
}

/** The reference: a map, whose order of insertion is the order of use. */
export function memoryUsageIndex(): UsageIndex {
  const sizes = new Map<Digest, number>()
  let total = 0
  const remove = (digest: Digest) => {
    total -= sizes.get(digest) ?? 0
    sizes.delete(digest)
  }
  return {
    put(digest, sizeBytes) {
      remove(digest)
      sizes.set(digest, sizeBytes)
      total += sizeBytes
    },
    touch(digest) {
      const sizeBytes = sizes.get(digest)
      if (sizeBytes === undefined) return
      sizes.delete(digest)
      sizes.set(digest, sizeBytes)
    },
    delete: remove,
    has: (digest) => sizes.has(digest),
    totalBytes: () => total,
    *candidates() {
      for (const [digest, sizeBytes] of [...sizes]) yield { digest, sizeBytes }
    },
  }
}
