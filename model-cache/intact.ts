/**
 * Whether bytes are what their name says, the check behind every read.
 *
 * A blob is hashed with SHA-256 the first time that a process meets it. Then a seal of it is kept, a message authentication code under a
 * key that never leaves the process, and later reads are checked against that: GMAC (NIST SP 800-38D) takes a seventh of the time of
 * SHA-256, and other bytes pass for a shard of 1 MiB with a chance of 2^-112, whoever chose them, as long as nobody sees key or seals.
 */
import type { Digest } from '#contracts/manifest.ts'
import { digestOf } from './digest.ts'

/** Seals of 32 GiB in shards of 1 MiB, in some megabytes of memory. */
const mostSeals = 32_768
const algorithm = 'AES-GCM'
const nothing = new Uint8Array()

const seals = new Map<Digest, ArrayBuffer>()
let key: CryptoKey | undefined

export async function isIntact(digest: Digest, bytes: Uint8Array): Promise<boolean> {
  const seal = seals.get(digest)
  if (seal && key && (await fits(seal, key, digest, bytes))) return true
  if ((await digestOf(bytes)) !== digest) return false
  await keepSeal(digest, bytes)
  return true
}

async function fits(seal: ArrayBuffer, under: CryptoKey, digest: Digest, bytes: Uint8Array): Promise<boolean> {
  try {
    await crypto.subtle.decrypt(parametersOf(digest, bytes), under, seal)
    return true
  } catch {
    return false
  }
}

async function keepSeal(digest: Digest, bytes: Uint8Array): Promise<void> {
  if (!key) {
    const made = await crypto.subtle.importKey('raw', crypto.getRandomValues(new Uint8Array(32)), algorithm, false, [
      'encrypt',
      'decrypt',
    ])
    key ??= made
  }
  const seal = await crypto.subtle.encrypt(parametersOf(digest, bytes), key, nothing)
  if (seals.size >= mostSeals) seals.delete(seals.keys().next().value!)
  seals.set(digest, seal)
}

/** The bytes are authenticated and nothing is encrypted. A nonce must stand for one message only, as its digest does. */
function parametersOf(digest: Digest, bytes: Uint8Array): AesGcmParams {
  const hex = digest.slice('sha256:'.length)
  const iv = Uint8Array.from({ length: 12 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
  return { name: algorithm, iv, additionalData: bytes as BufferSource, tagLength: 128 }
}
