/** A store that counts, waits and lies as a test wants. */
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'

export interface CountedStore extends BlobStore {
  reads: Digest[]
  /** Reads that were called and have not ended. */
  open: number
  mostOpen: number
}

export function countedStore(
  inner: BlobStore = memoryStore(),
  gate: () => Promise<void> = async () => {},
): CountedStore {
  const store: CountedStore = {
    ...inner,
    reads: [],
    open: 0,
    mostOpen: 0,
    async get(digest, options) {
      store.reads.push(digest)
      store.open += 1
      store.mostOpen = Math.max(store.mostOpen, store.open)
      try {
        await gate()
        return await inner.get(digest, options)
      } finally {
        store.open -= 1
      }
    },
  }
  return store
}

/** What every reader of a broken store sees. */
export function brokenStore(name: string, error: Error): BlobStore {
  const fail = () => Promise.reject(error)
  return { name, get: fail, put: fail, has: fail, delete: fail }
}

/** Resolves after everything that is ready to run has run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
