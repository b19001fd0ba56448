/**
 * Blobs on disk as workerd reaches it: through its `disk` service, which has PUT, GET and DELETE but neither rename nor
 * fsync. A crash may therefore leave a short or torn file under a blob's name; it is harmless because every reader verifies
 * (`readShard`) and drops what does not match.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { internal } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'

/** The part of a service binding that is used. */
export interface DiskService {
  fetch(url: string, init?: { method?: string; body?: Uint8Array; signal?: AbortSignal }): Promise<Response>
}

export function diskServiceStore(disk: DiskService, name = 'disk'): BlobStore {
  return {
    name,
    async get(digest, options) {
      const response = await disk.fetch(urlOf(digest), options?.signal ? { signal: options.signal } : {})
      if (response.status === 404) return cancel(response, null)
      if (!response.ok) throw internal(`Disk answered ${response.status} to reading ${digest}.`)
      return response.bytes()
    },
    async put(digest, bytes) {
      const response = await disk.fetch(urlOf(digest), { method: 'PUT', body: bytes })
      await cancel(response, null)
      if (!response.ok) throw internal(`Disk answered ${response.status} to writing ${digest}: is it full?`)
    },
    async has(digest) {
      const response = await disk.fetch(urlOf(digest), { method: 'HEAD' })
      return cancel(response, response.ok)
    },
    async delete(digest) {
      await cancel(await disk.fetch(urlOf(digest), { method: 'DELETE' }), null)
    },
  }
}

/** Two levels of folders keep a folder's listing short. */
function urlOf(digest: Digest): string {
  const hex = digest.slice('sha256:'.length)
  return `http://disk/${hex.slice(0, 2)}/${hex}`
}

async function cancel<T>(response: Response, result: T): Promise<T> {
  await response.body?.cancel()
  return result
}
