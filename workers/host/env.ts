import type { Collected, StoredBytes } from '#contracts/host.ts'
import type { Artifact, Digest, Shard } from '#contracts/manifest.ts'
import type { Outcome } from '#contracts/outcome.ts'
import type { DiskService } from '#model-cache/stores/disk-service.ts'

/** Bindings of the host worker. */
export interface HostEnv {
  /** Mounts endpoint bundles as isolates. */
  LOADER: WorkerLoader
  /** One object per mounted bundle. */
  REPLICA: DurableObjectNamespace
  /** One object: makes heap snapshots of models that were loaded without one. */
  SNAPSHOT_BUILDER: DurableObjectNamespace
  /** One object: what is in the model cache, and the way to the hub. */
  MODEL_CACHE: DurableObjectNamespace<ModelCacheRpc>
  /** The model cache's disk tier. */
  BLOBS: DiskService
  /** The most that the disk tier may hold. */
  CACHE_BYTES: number
  /** Memory that one endpoint isolate may use. */
  ISOLATE_BYTES: number
  /** Milliseconds for which one graph may work at a stretch. */
  RUN_MS: number
  /** Where artifacts with an origin are fetched; empty for none. */
  HUB_URL: string
  /** Sent to the hub and to nobody else; empty for none. */
  HUB_TOKEN: string
}

/** The model cache's object as the rest of the host reaches it. */
export interface ModelCacheRpc {
  put(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>>
  shardsOf(artifact: Artifact): Promise<Outcome<Shard[]>>
  restore(shard: Shard): Promise<Outcome<void>>
  touch(manifest: Digest): Promise<void>
  usage(manifest: Digest): Promise<StoredBytes>
  /** The shards of a heap snapshot in order; none where there is no such snapshot or a part of it was evicted. */
  snapshotShards(key: Digest): Promise<Shard[]>
  /** Names a snapshot whose shards were all put. */
  putSnapshot(key: Digest, manifest: Digest, shards: readonly Shard[]): Promise<void>
  dropSnapshot(key: Digest): Promise<void>
  collect(live: readonly Digest[]): Promise<Collected>
}

/** The one object of a host. */
export function modelCache(env: HostEnv): ModelCacheRpc {
  return env.MODEL_CACHE.getByName('cache')
}
