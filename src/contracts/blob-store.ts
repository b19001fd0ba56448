/** Bytes by digest. Every implementation passes the one suite in `test/contract/blob-store.ts`. */
import type { Digest } from './manifest.ts'

export interface BlobStore {
  /** Names the tier in errors and logs. */
  readonly name: string
  /** Resolves to the stored bytes, unverified, or null where there are none. */
  get(digest: Digest, options?: { signal?: AbortSignal }): Promise<Uint8Array | null>
  /** Stores bytes that the caller has verified. Storing the same digest twice is no error. */
  put(digest: Digest, bytes: Uint8Array): Promise<void>
  has(digest: Digest): Promise<boolean>
  /** Resolves also where there was nothing to delete. */
  delete(digest: Digest): Promise<void>
}
