/**
 * Blobs on disk as workerd reaches it: through its `disk` service, which has PUT, GET and DELETE but neither rename nor
 * fsync. A crash may therefore leave a short or torn file under a blob's name; it is harmless because every reader verifies
 * (`readShard`) and drops what does not match.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { internal } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'
import type { Buffers } from '../buffers.ts'

/** The part of a service binding that is used. */
export interface DiskService {
  fetch(url: string, init?: { method?: string; body?: Uint8Array; signal?: AbortSignal }): Promise<Response>
}

/** workerd's own addition to readers: one call fills a whole buffer. */
interface FillingReader {
  readAtLeast(minBytes: number, view: Uint8Array): Promise<{ value?: Uint8Array; done: boolean }>
  cancel(): Promise<void>
}

/** With `buffers`, bytes are read into their memory; whoever is done with the bytes gives it back there. */
export function diskServiceStore(disk: DiskService, name = 'disk', buffers?: Buffers): BlobStore {
  return {
    name,
    async get(digest, options) {
      // A shard is read in under a millisecond: aborting one on its way costs more than it saves.
      options?.signal?.throwIfAborted()
      const response = await disk.fetch(urlOf(digest))
      if (response.status === 404) return cancel(response, null)
      if (!response.ok) {
        await cancel(response, null)
        throw internal(`Disk answered ${response.status} to reading ${digest}.`)
      }
      return bytesOf(response, buffers)
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
      const response = await disk.fetch(urlOf(digest), { method: 'DELETE' })
      await cancel(response, null)
      if (!response.ok && response.status !== 404)
        throw internal(`Disk answered ${response.status} to deleting ${digest}.`)
    },
  }
}

async function bytesOf(response: Response, buffers: Buffers | undefined): Promise<Uint8Array> {
  const sizeBytes = Number(response.headers.get('content-length'))
  if (!buffers || !response.body || !sizeBytes) return response.bytes()
  const reader = response.body.getReader({ mode: 'byob' }) as unknown as FillingReader
  const { value } = await reader.readAtLeast(sizeBytes, buffers.take(sizeBytes))
  await reader.cancel()
  return value ?? new Uint8Array()
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
