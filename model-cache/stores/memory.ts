/** The reference store: a map. */
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'

export function memoryStore(name = 'memory'): BlobStore {
  const blobs = new Map<Digest, Uint8Array>()
  return {
    name,
    async get(digest, options) {
      options?.signal?.throwIfAborted()
      return blobs.get(digest)?.slice() ?? null
    },
    put: async (digest, bytes) => void blobs.set(digest, bytes.slice()),
    has: async (digest) => blobs.has(digest),
    delete: async (digest) => void blobs.delete(digest),
  }
}
