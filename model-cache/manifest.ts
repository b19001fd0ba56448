/** Manifests as blobs: written in canonical JSON, read back verified and validated. */
import type { BlobStore } from '#contracts/blob-store.ts'
import { badRequest, doesNotExist, invalidParameter } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { type Digest, type Manifest, manifestSchema, type Shard } from '#contracts/manifest.ts'
import { parseBody } from '#contracts/parse.ts'
import { canonicalJson } from './canonical-json.ts'
import { digestOf } from './digest.ts'
import type { IncrementalHash } from './digest-stream.ts'
import { isIntact } from './intact.ts'
import { type ResolvedArtifact, type StreamArtifactOptions, streamArtifact } from './read-artifact.ts'

/** The most that a manifest's artifacts may come to together: what its shards could. */
const maxTotalBytes = limits.shardsPerManifest * limits.shardBytes

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
    if (await isIntact(digest, bytes)) return parseManifest(jsonOf(bytes, digest))
    await tier.delete(digest)
  }
  throw doesNotExist(`Manifest ${digest} is not stored here.`)
}

/**
 * Returns a manifest from outside once everything in it that can be checked without the bytes holds: the schema, and that no
 * digest means two things and no size is absurd.
 *
 * @throws {ServingError} 400 naming the field; final.
 */
export function parseManifest(value: unknown): Manifest {
  const manifest = parseBody(manifestSchema, value, 'manifest')
  const sizes = new Map<Digest, number>()
  let totalBytes = 0
  for (const [index, { sizeBytes, digest, shards }] of manifest.artifacts.entries()) {
    const field = `manifest.artifacts[${index}]`
    totalBytes += sizeBytes
    if (totalBytes > maxTotalBytes)
      throw invalidParameter(
        `${field}.sizeBytes`,
        `${totalBytes} bytes in all are more than the ${maxTotalBytes} allowed`,
      )
    for (const [at, shard] of (shards ?? []).entries()) {
      if (shard.sizeBytes === 0 && sizeBytes > 0)
        throw invalidParameter(`${field}.shards[${at}].sizeBytes`, 'a shard of a file that is not empty has bytes')
      const other = sizes.get(shard.digest) ?? shard.sizeBytes
      if (other !== shard.sizeBytes)
        throw invalidParameter(
          `${field}.shards[${at}]`,
          `${shard.digest} has ${shard.sizeBytes} bytes here and ${other} elsewhere`,
        )
      sizes.set(shard.digest, shard.sizeBytes)
    }
    const [only] = shards ?? []
    if (digest && only && shards?.length === 1 && digest !== only.digest)
      throw invalidParameter(
        `${field}.digest`,
        `the only shard is ${only.digest}, and so must be the file; ${digest} came`,
      )
  }
  return manifest
}

export interface VerifyArtifactOptions extends StreamArtifactOptions {
  newHash: () => IncrementalHash
}

/**
 * Resolves to the digest of the whole artifact once all of its shards were read, each verified.
 *
 * @throws {ServingError} 400 naming both digests where the shards, though intact, are not the file that the manifest names; final.
 */
export async function verifyArtifact(
  artifact: ResolvedArtifact,
  { newHash, ...options }: VerifyArtifactOptions,
): Promise<Digest> {
  const hash = newHash()
  const reader = streamArtifact(artifact, options).getReader()
  for (let read = await reader.read(); !read.done; read = await reader.read()) await hash.update(read.value)
  const actual = await hash.digest()
  if (artifact.digest && actual !== artifact.digest)
    throw badRequest(`The shards of "${artifact.path}" make ${actual}, not ${artifact.digest}.`, 'manifest')
  return actual
}

/** Every shard that one of the manifests needs; a blob that is no shard or manifest in use may be collected. */
export function shardsOf(manifests: Iterable<Manifest>): Map<Digest, Shard> {
  const shards = new Map<Digest, Shard>()
  for (const { artifacts } of manifests)
    for (const artifact of artifacts) for (const shard of artifact.shards ?? []) shards.set(shard.digest, shard)
  return shards
}

/** What has to move for the new version where the old one is: each shard once. */
export function missingAfter(old: Manifest, next: Manifest): Shard[] {
  const present = shardsOf([old])
  return [...shardsOf([next]).values()].filter((shard) => !present.has(shard.digest))
}

function jsonOf(bytes: Uint8Array, digest: Digest): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw badRequest(`Blob ${digest} is not a manifest: it is not JSON.`)
  }
}
