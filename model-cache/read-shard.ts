/**
 * Reading one shard of a model, nearest tier first.
 *
 * An isolate has 128 MB and a model may be most of that, so the unit of I/O is the shard: peak memory grows by one shard and
 * a broken transfer costs one shard's retry. The digest is the name, so no copy can ever be stale.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { badRequest, dataLoss } from '#contracts/errors.ts'
import type { Shard } from '#contracts/manifest.ts'
import { digestOf } from './digest.ts'

export interface ReadShardOptions {
  /** Nearest first. */
  tiers: readonly BlobStore[]
  signal?: AbortSignal
}

/**
 * Resolves to exactly `shard.sizeBytes` verified bytes, offering a copy to every tier nearer than the one that answered.
 *
 * @throws {ServingError} DATA_LOSS when no tier holds the shard intact, 400 where the manifest misstates its size; final.
 */
export async function readShard(shard: Shard, { tiers, signal }: ReadShardOptions): Promise<Uint8Array> {
  const tried: string[] = []
  for (const [depth, tier] of tiers.entries()) {
    const bytes = await tier.get(shard.digest, signal ? { signal } : {})
    if (!bytes) {
      tried.push(`${tier.name}: absent`)
      continue
    }
    if ((await digestOf(bytes)) === shard.digest) {
      // The bytes are what they are called, and others may use them: it is this manifest that is wrong.
      if (bytes.byteLength !== shard.sizeBytes) {
        throw badRequest(`Shard ${shard.digest} has ${bytes.byteLength} bytes, not the ${shard.sizeBytes} of the manifest.`)
      }
      // Best effort: a full near tier slows the next read, it does not fail this one.
      await Promise.allSettled(tiers.slice(0, depth).map((nearer) => nearer.put(shard.digest, bytes)))
      return bytes
    }
    // A tier that lies is worse than a miss: drop its copy and look deeper.
    tried.push(`${tier.name}: corrupt, dropped`)
    await tier.delete(shard.digest)
  }
  throw dataLoss(`Shard ${shard.digest} is not to be had intact (${tried.join('; ')}). Import the model again.`)
}
