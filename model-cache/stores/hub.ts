/**
 * The origin as a store: a digest is a range of a file that a hub serves, which `locate` knows. Read-only; nothing is kept.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { notBuilt } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'
import type { OriginFile } from '../origin.ts'
import { readRange } from '../read-range.ts'
import { type RetryOptions, retrying } from '../retry.ts'

export interface HubLocation {
  url: string
  /** Where in the file the bytes begin. */
  offset: number
  sizeBytes: number
  etag?: string | undefined
}

export interface HubStoreOptions extends Omit<OriginFile, 'url'>, Omit<RetryOptions, 'signal'> {
  /** Resolves to where a digest's bytes are, or null where no origin has them. */
  locate(digest: Digest): Promise<HubLocation | null> | HubLocation | null
  name?: string
  /** How long the origin may send nothing. */
  idleMs?: number
}

export function hubStore({ locate, name = 'hub', headers, fetch, idleMs, ...retry }: HubStoreOptions): BlobStore {
  return {
    name,
    /** @throws {ServingError} 401 to 403, 409 changed, 416 too short: final; limits and failures: retryable, after retries. */
    async get(digest, { signal } = {}) {
      const place = await locate(digest)
      if (!place) return null
      const { url, offset, sizeBytes, etag } = place
      const range = { fromByte: offset, toByte: offset + sizeBytes, etag }
      const read = async () => {
        const bytes = new Uint8Array(sizeBytes)
        let filled = 0
        await readRange({ url, headers, fetch }, { ...range, signal, idleMs, sleep: retry.sleep }, (chunk) => {
          bytes.set(chunk, filled)
          filled += chunk.byteLength
        })
        return bytes
      }
      return sizeBytes === 0 ? new Uint8Array() : retrying(read, { ...retry, signal })
    },
    async put() {
      throw notBuilt(`Writing to ${name}, which is an origin,`)
    },
    async has(digest) {
      return (await locate(digest)) !== null
    },
    async delete() {
      throw notBuilt(`Deleting from ${name}, which is an origin,`)
    },
  }
}
