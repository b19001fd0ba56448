/**
 * Blobs in a Cache (`caches.open(…)`), one address per digest. The cache may forget any of them at any time; what it keeps never
 * changes, so it may keep it for a year.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'

/** The part of a Cache that is used. */
export interface CacheBlobs {
  match(url: string): Promise<Response | undefined>
  put(url: string, response: Response): Promise<void>
  delete(url: string): Promise<boolean>
}

export function cacheApiStore(cache: CacheBlobs, name = 'cache-api'): BlobStore {
  return {
    name,
    async get(digest, options) {
      options?.signal?.throwIfAborted()
      const response = await cache.match(urlOf(digest))
      return response ? response.bytes() : null
    },
    async put(digest, bytes) {
      const headers = {
        'content-type': 'application/octet-stream',
        'content-length': String(bytes.byteLength),
        'cache-control': 'public, max-age=31536000, immutable',
      }
      await cache.put(urlOf(digest), new Response(bytes as BufferSource as ArrayBuffer, { headers }))
    },
    async has(digest) {
      const response = await cache.match(urlOf(digest))
      await response?.body?.cancel()
      return response !== undefined
    },
    async delete(digest) {
      await cache.delete(urlOf(digest))
    },
  }
}

/** `.invalid` never resolves, so that no request can ever be answered from here by mistake. */
function urlOf(digest: Digest): string {
  return `https://model-cache.invalid/${digest.replace(':', '/')}`
}
