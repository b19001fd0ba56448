/**
 * A store made of stores, nearest first. What it gives is verified: a copy that does not hash to its name is dropped from the
 * tier that had it and healed from the next; when the last one lies too, that is final.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { findBlob } from '../read-shard.ts'

export function tieredStore(tiers: readonly BlobStore[], name = 'tiers'): BlobStore {
  return {
    name,
    async get(digest, options) {
      const found = await findBlob(digest, { tiers, ...options })
      return found?.bytes ?? null
    },
    /** Goes to the nearest tier that takes it: one may be read-only, another full. */
    async put(digest, bytes) {
      let refusal: unknown
      for (const tier of tiers) {
        try {
          return await tier.put(digest, bytes)
        } catch (error) {
          refusal ??= error
        }
      }
      throw refusal
    },
    async has(digest) {
      for (const tier of tiers) if (await tier.has(digest)) return true
      return false
    },
    /** A read-only tier keeps its copy. */
    async delete(digest) {
      await Promise.allSettled(tiers.map((tier) => tier.delete(digest)))
    },
  }
}
