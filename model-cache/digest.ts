import { hexOf } from '#contracts/bytes.ts'
import type { Digest } from '#contracts/manifest.ts'

/** The name of some bytes. */
export async function digestOf(bytes: Uint8Array): Promise<Digest> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as BufferSource))
  return `sha256:${hexOf(hash)}`
}
