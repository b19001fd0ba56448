/**
 * A store that never holds more than its quota. Room is made by evicting what was used least recently, except what is mounted
 * and what could not be had again. Bytes are counted before they are written, so that writers at the same time cannot
 * exceed the quota together; where all that may go would not be enough, nothing goes and the writer is refused.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { ServingError } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'
import type { Awaitable, IndexedBlob, UsageIndex } from './usage-index.ts'

export interface BoundedStoreOptions {
  quotaBytes: number
  /** Whether a blob belongs to something that is mounted. */
  isPinned?: (digest: Digest) => Awaitable<boolean>
  /** Whether a blob can be had again from elsewhere. */
  hasOrigin?: (digest: Digest) => Awaitable<boolean>
}

/** `put` @throws {ServingError} RESOURCE_EXHAUSTED, 507, where room cannot be made; final until something is unmounted or deleted. */
export function boundedStore(store: BlobStore, index: UsageIndex, options: BoundedStoreOptions): BlobStore {
  const { quotaBytes, isPinned = () => false, hasOrigin = () => true } = options
  const inTurn = turnstile()
  /** Counted and not yet written: to evict one of these would leave it in the store uncounted. */
  const writing = new Set<Digest>()

  async function reserve(digest: Digest, sizeBytes: number): Promise<void> {
    const heldBytes = await index.totalBytes()
    const chosen = await choose(heldBytes + sizeBytes - quotaBytes)
    if (!chosen) {
      const message = `The store "${store.name}" holds ${heldBytes} of ${quotaBytes} bytes; ${sizeBytes} more do not fit, and too little of the rest is unused and to be had again. Delete models or raise the quota.`
      throw new ServingError({ code: 'RESOURCE_EXHAUSTED', status: 507, message })
    }
    for (const { digest: evicted } of chosen) {
      await store.delete(evicted)
      await index.delete(evicted)
    }
    await index.put(digest, sizeBytes)
  }

  /** Resolves to the blobs to evict, or to null where all that may go is too little. */
  async function choose(missingBytes: number): Promise<IndexedBlob[] | null> {
    const chosen: IndexedBlob[] = []
    if (missingBytes <= 0) return chosen
    let room = 0
    for await (const blob of index.candidates()) {
      if (writing.has(blob.digest) || (await isPinned(blob.digest)) || !(await hasOrigin(blob.digest))) continue
      chosen.push(blob)
      room += blob.sizeBytes
      if (room >= missingBytes) return chosen
    }
    return null
  }

  return {
    name: store.name,
    async get(digest, getOptions) {
      const bytes = await store.get(digest, getOptions)
      // The index follows the store, which may have lost a blob or got one behind its back.
      if (!bytes) await index.delete(digest)
      else if (await index.has(digest)) await index.touch(digest)
      else await index.put(digest, bytes.byteLength)
      return bytes
    },
    async put(digest, bytes) {
      const isNew = await inTurn(async () => {
        const known = await index.has(digest)
        if (known) await index.touch(digest)
        else await reserve(digest, bytes.byteLength)
        writing.add(digest)
        return !known
      })
      try {
        await store.put(digest, bytes)
      } catch (error) {
        if (isNew) await index.delete(digest)
        throw error
      } finally {
        writing.delete(digest)
      }
    },
    has: (digest) => store.has(digest),
    async delete(digest) {
      await store.delete(digest)
      await index.delete(digest)
    },
  }
}

/** Runs one piece of work after the other. */
function turnstile() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }
}
