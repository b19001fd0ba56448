/** Manifests as blobs: written in canonical JSON, read back verified and validated. */
import type { BlobStore } from '#contracts/blob-store.ts'
import { doesNotExist } from '#contracts/errors.ts'
import { type Digest, type Manifest, manifestSchema } from '#contracts/manifest.ts'
import { canonicalJson } from './canonical-json.ts'
import { digestOf } from './digest.ts'

/** Stores a validated manifest and resolves to its name. */
export async function writeManifest(manifest: Manifest, store: BlobStore): Promise<Digest> {
  const bytes = new TextEncoder().encode(canonicalJson(manifest))
  const digest = await digestOf(bytes)
  await store.put(digest, bytes)
  return digest
}

/** @throws {ServingError} 404 where no intact manifest has that name. */
export async function readManifest(digest: Digest, tiers: readonly BlobStore[]): Promise<Manifest> {
  for (const tier of tiers) {
    const bytes = await tier.get(digest)
    if (!bytes) continue
    if ((await digestOf(bytes)) === digest) return manifestSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
    await tier.delete(digest)
  }
  throw doesNotExist(`Manifest ${digest} is not stored here.`)
}
