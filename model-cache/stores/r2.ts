/** Blobs in an R2 bucket, under `sha256/<hex>`. */
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'

/** The part of an R2 binding that is used. */
export interface R2Blobs {
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>
  head(key: string): Promise<object | null>
  put(key: string, bytes: Uint8Array): Promise<unknown>
  delete(key: string): Promise<void>
}

export function r2Store(bucket: R2Blobs, name = 'r2'): BlobStore {
  return {
    name,
    async get(digest, options) {
      options?.signal?.throwIfAborted()
      const object = await bucket.get(keyOf(digest))
      return object && new Uint8Array(await object.arrayBuffer())
    },
    async put(digest, bytes) {
      await bucket.put(keyOf(digest), bytes)
    },
    async has(digest) {
      return (await bucket.head(keyOf(digest))) !== null
    },
    async delete(digest) {
      await bucket.delete(keyOf(digest))
    },
  }
}

function keyOf(digest: Digest): string {
  return digest.replace(':', '/')
}
