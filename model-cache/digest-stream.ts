/** SHA-256 of bytes that come one after the other; `crypto.subtle` only hashes what is there as a whole. */
import { hexOf } from '#contracts/bytes.ts'
import { notBuilt } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'

export interface IncrementalHash {
  /** The bytes are the caller's again once this has resolved. */
  update(bytes: Uint8Array): Promise<void> | void
  digest(): Promise<Digest>
}

interface DigestStream extends WritableStream<Uint8Array> {
  readonly digest: Promise<ArrayBuffer>
}

/** A hash from workerd's `crypto.DigestStream`. @throws {ServingError} NOT_IMPLEMENTED in a runtime that has none. */
export function newDigestStreamHash(): IncrementalHash {
  const { DigestStream } = crypto as { DigestStream?: new (algorithm: 'SHA-256') => DigestStream }
  if (!DigestStream) throw notBuilt('Hashing a stream outside workerd')
  const stream = new DigestStream('SHA-256')
  const writer = stream.getWriter()
  return {
    update: (bytes) => writer.write(bytes),
    async digest() {
      await writer.close()
      return `sha256:${hexOf(new Uint8Array(await stream.digest))}`
    },
  }
}
