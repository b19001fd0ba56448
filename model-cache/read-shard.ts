/**
 * Reading one shard of a model, nearest tier first.
 *
 * An isolate has 128 MB and a model may be most of that, so the unit of I/O is the shard: peak memory grows by one shard and
 * a broken transfer costs one shard's retry. The digest is the name, so no copy can ever be stale.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { badRequest, dataLoss, isServingError, unavailable } from '#contracts/errors.ts'
import type { Digest, Shard } from '#contracts/manifest.ts'
import { digestOf } from './digest.ts'
import { isIntact } from './intact.ts'

export interface ReadShardOptions {
  /** Nearest first. */
  tiers: readonly BlobStore[]
  signal?: AbortSignal
}

export interface FoundBlob {
  bytes: Uint8Array
  /** Name of the tier that answered. */
  tier: string
}

/**
 * Resolves to exactly `shard.sizeBytes` verified bytes, offering a copy to every tier nearer than the one that answered.
 *
 * @throws {ServingError} DATA_LOSS when no tier holds the shard intact, 400 where the manifest misstates its size; final.
 * What a tier that could not be reached threw, or TEMPORARILY_UNAVAILABLE, where that tier may hold it; retryable.
 */
export async function readShard(shard: Shard, options: ReadShardOptions): Promise<Uint8Array> {
  return (await findShard(shard, options)).bytes
}

/** Like `readShard`, and says which tier answered. */
export async function findShard({ digest, sizeBytes }: Shard, options: ReadShardOptions): Promise<FoundBlob> {
  const found = await findBlob(digest, options)
  if (!found) throw dataLoss(`Shard ${digest} is not to be had (${absences(options.tiers)}). Import the model again.`)
  // The bytes are what they are called, and others may use them: it is this manifest that is wrong.
  if (found.bytes.byteLength !== sizeBytes)
    throw badRequest(`Shard ${digest} has ${found.bytes.byteLength} bytes, not the ${sizeBytes} of the manifest.`)
  return found
}

/**
 * Resolves to verified bytes, or null where no tier has any under that name.
 *
 * @throws {ServingError} DATA_LOSS when all that was found was corrupt; final.
 */
export async function findBlob(digest: Digest, { tiers, signal }: ReadShardOptions): Promise<FoundBlob | null> {
  const tried: string[] = []
  let lied = false
  let failure: unknown
  for (const [depth, tier] of tiers.entries()) {
    signal?.throwIfAborted()
    let bytes: Uint8Array | null
    try {
      bytes = await tier.get(digest, signal ? { signal } : {})
    } catch (error) {
      signal?.throwIfAborted()
      failure = error
      tried.push(`${tier.name}: ${isServingError(error) ? error.message : 'failed'}`)
      continue
    }
    if (!bytes) {
      tried.push(`${tier.name}: absent`)
      continue
    }
    if (await isIntact(digest, bytes)) {
      // Best effort: a full near tier slows the next read, it does not fail this one.
      await Promise.allSettled(tiers.slice(0, depth).map((nearer) => nearer.put(digest, bytes)))
      return { bytes, tier: tier.name }
    }
    // A tier that lies is worse than a miss: drop its copy and look deeper.
    lied = true
    tried.push(`${tier.name}: corrupt, ${bytes.byteLength} bytes of ${await digestOf(bytes)}`)
    await tier.delete(digest).catch(() => undefined)
  }
  if (isServingError(failure)) throw failure
  if (failure !== undefined) throw unavailable(`Shard ${digest} cannot be read now (${tried.join('; ')}).`, 5)
  if (lied) throw dataLoss(`Shard ${digest} is not to be had intact (${tried.join('; ')}). Import the model again.`)
  return null
}

function absences(tiers: readonly BlobStore[]): string {
  return tiers.map((tier) => `${tier.name}: absent`).join('; ')
}
