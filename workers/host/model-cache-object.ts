/**
 * The model cache's memory and its only way to the hub: one Durable Object, so that all isolates of a host that want the same
 * bytes at once share one I/O context and therefore one read of the origin.
 *
 * It knows every blob on disk and keeps what it learnt of origin files (`OriginLedger`). On the way to an isolate bytes do not
 * pass through it; it only sees to it that they are on disk.
 */
import { DurableObject } from 'cloudflare:workers'
import type { BlobStore } from '#contracts/blob-store.ts'
import { dataLoss, unavailable } from '#contracts/errors.ts'
import type { Collected, StoredBytes } from '#contracts/host.ts'
import type { Artifact, Digest, Manifest, Origin, Shard } from '#contracts/manifest.ts'
import { type Outcome, outcomeOf } from '#contracts/outcome.ts'
import { newDigestStreamHash } from '#model-cache/digest-stream.ts'
import { fetchArtifact } from '#model-cache/fetch-artifact.ts'
import { readManifest, shardsOf } from '#model-cache/manifest.ts'
import type { Progress } from '#model-cache/progress.ts'
import { boundedStore } from '#model-cache/quota.ts'
import { readShard } from '#model-cache/read-shard.ts'
import { singleFlight } from '#model-cache/single-flight.ts'
import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
import { hubStore } from '#model-cache/stores/hub.ts'
import { blobIndex } from './blob-index.ts'
import type { HostEnv } from './env.ts'
import { OriginLedger } from './origin-ledger.ts'
import { mountedManifests } from './replica-activity.ts'
import { SnapshotLedger } from './snapshot-ledger.ts'

/** What was written so recently may belong to an import that is still under way. */
const importGraceMs = 3_600_000
/** When the use of a snapshot is noted: later than most loads end. */
const noteAfterMs = 250

export class ModelCache extends DurableObject<HostEnv> {
  readonly #index = blobIndex(this.ctx.storage)
  readonly #ledger = new OriginLedger(this.ctx.storage)
  readonly #snapshots = new SnapshotLedger(this.ctx.storage)
  readonly #disk = diskServiceStore(this.env.BLOBS)
  readonly #store: BlobStore = boundedStore(this.#disk, this.#index, {
    quotaBytes: this.env.CACHE_BYTES,
    isPinned: (digest) => this.#isMounted(digest),
    // A snapshot can be made again.
    hasOrigin: (digest) => this.#snapshots.has(digest) || this.#ledger.placeOf(digest) !== null,
  })
  readonly #fetches = singleFlight<string, Shard[]>()
  readonly #restores = singleFlight<Digest, void>()
  /** Of downloads under way, by origin. */
  readonly #progress = new Map<string, Progress>()

  /** Stores verified bytes within the quota. */
  put(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>> {
    return outcomeOf(() => this.#store.put(digest, bytes))
  }

  /** The shards of an artifact, on disk; one that was never read is read from its origin first. */
  shardsOf(artifact: Artifact): Promise<Outcome<Shard[]>> {
    return outcomeOf(async () => {
      if (artifact.shards) return artifact.shards
      const origin = artifact.origin!
      const known = this.#ledger.read(origin)
      return known.complete
        ? known.shards
        : this.#fetches.run(JSON.stringify(origin), (signal) => this.#fetch(artifact, origin, signal))
    })
  }

  /** Brings a shard that was evicted, or was found corrupt, back from its origin. */
  restore(shard: Shard): Promise<Outcome<void>> {
    return outcomeOf(() => this.#restores.run(shard.digest, (signal) => this.#restore(shard, signal)))
  }

  /** Notes that a version was mounted, which keeps its shards from being the next to go. */
  async touch(manifest: Digest): Promise<void> {
    for (const digest of (await this.#shardsIn([manifest])).keys()) this.#index.touch(digest)
  }

  /** How much of a version is on disk, and what is being fetched of it. */
  async usage(manifest: Digest): Promise<StoredBytes> {
    const { artifacts } = await readManifest(manifest, [this.#disk])
    const shards = await this.#shardsIn([manifest])
    let storedBytes = 0
    for (const { digest, sizeBytes } of shards.values()) if (await this.#index.has(digest)) storedBytes += sizeBytes
    const fetching = artifacts.flatMap(({ origin }) => (origin && this.#progress.get(JSON.stringify(origin))) ?? [])
    const sizeBytes = artifacts.reduce((total, artifact) => total + artifact.sizeBytes, 0)
    return { sizeBytes, storedBytes, snapshotBytes: this.#snapshots.sizeOf(manifest), fetching }
  }

  /** The shards of a heap snapshot in order; none where there is no such snapshot or a part of it was evicted. */
  async snapshotShards(key: Digest): Promise<Shard[]> {
    const shards = this.#snapshots.shardsOf(key)
    for (const { digest } of shards) {
      if (!(await this.#index.has(digest))) {
        await this.dropSnapshot(key)
        return []
      }
    }
    // A reply waits for what was written before it to reach the disk, and a cold start for this reply.
    setTimeout(() => {
      for (const { digest } of shards) this.#index.touch(digest)
    }, noteAfterMs)
    return shards
  }

  /** Names a snapshot whose shards were all put. */
  async putSnapshot(key: Digest, manifest: Digest, shards: readonly Shard[]): Promise<void> {
    this.#snapshots.put(key, manifest, shards)
  }

  async dropSnapshot(key: Digest): Promise<void> {
    const shards = this.#snapshots.shardsOf(key)
    this.#snapshots.forget(key)
    for (const { digest } of shards) await this.#store.delete(digest)
  }

  /** Deletes every blob that none of these versions needs. */
  async collect(live: readonly Digest[]): Promise<Collected> {
    const needed = await this.#shardsIn(live)
    const newest = Date.now() - importGraceMs
    let [deleted, freedBytes] = [0, 0]
    for (const { key, manifest } of this.#snapshots.all()) {
      if (live.includes(manifest)) continue
      for (const { sizeBytes } of this.#snapshots.shardsOf(key)) {
        deleted += 1
        freedBytes += sizeBytes
      }
      await this.dropSnapshot(key)
    }
    for await (const { digest, sizeBytes } of this.#index.candidates()) {
      if (
        needed.has(digest) ||
        live.includes(digest) ||
        this.#snapshots.has(digest) ||
        (this.#index.usedMs(digest) ?? 0) > newest
      )
        continue
      await this.#store.delete(digest)
      deleted += 1
      freedBytes += sizeBytes
    }
    return { deleted, freedBytes, heldBytes: Number(await this.#index.totalBytes()) }
  }

  async #fetch(artifact: Artifact, origin: Origin, signal: AbortSignal): Promise<Shard[]> {
    const { shards: known, etag } = this.#ledger.read(origin)
    const key = JSON.stringify(origin)
    try {
      const fetched = await fetchArtifact({
        url: this.#urlOf(origin),
        headers: this.#headers(),
        fetch: (url, init) => fetch(url, init),
        path: artifact.path,
        sizeBytes: artifact.sizeBytes,
        digest: artifact.digest,
        store: this.#store,
        known,
        etag,
        onShard: (shard, tag) => this.#ledger.addShard(origin, shard, tag),
        newHash: newDigestStreamHash,
        onProgress: (progress) => void this.#progress.set(key, progress),
        signal,
      })
      this.#ledger.complete(origin, fetched.digest, fetched.pinned)
      return fetched.shards
    } catch (error) {
      // Another file than expected: what was learnt of it is worth nothing.
      const { code } = error as { code?: string }
      if (code === 'DATA_LOSS' || code === 'RESOURCE_CONFLICT') this.#ledger.forget(origin)
      throw error
    } finally {
      this.#progress.delete(key)
    }
  }

  async #restore(shard: Shard, signal: AbortSignal): Promise<void> {
    const place = this.#ledger.placeOf(shard.digest)
    if (!place) throw dataLoss(`Shard ${shard.digest} is gone from disk and has no origin. Import the model again.`)
    const origin = hubStore({
      headers: this.#headers(),
      fetch: (url, init) => fetch(url, init),
      locate: () => ({
        url: this.#urlOf(place.origin),
        offset: place.offset,
        sizeBytes: place.sizeBytes,
        etag: place.etag,
      }),
    })
    await this.#store.put(shard.digest, await readShard(shard, { tiers: [origin], signal }))
  }

  #urlOf({ repository, revision, path }: Origin): string {
    if (this.env.HUB_URL === '') throw unavailable('No model hub is configured: set GLIM_HUB_URL.', 60)
    return `${this.env.HUB_URL.replace(/\/$/, '')}/${repository}/resolve/${revision}/${path.split('/').map(encodeURIComponent).join('/')}`
  }

  #headers(): Record<string, string> {
    return this.env.HUB_TOKEN === '' ? {} : { authorization: `Bearer ${this.env.HUB_TOKEN}` }
  }

  async #isMounted(digest: Digest): Promise<boolean> {
    const mounted = mountedManifests()
    return mounted.includes(digest) || (await this.#shardsIn(mounted)).has(digest)
  }

  /** All shards of these versions that are known, those of origin files too. */
  async #shardsIn(digests: readonly Digest[]): Promise<Map<Digest, Shard>> {
    const manifests: Manifest[] = []
    for (const digest of digests) {
      const { artifacts, ...rest } = await readManifest(digest, [this.#disk])
      manifests.push({ ...rest, artifacts: artifacts.map((artifact) => this.#withShards(artifact)) })
    }
    return shardsOf(manifests)
  }

  #withShards(artifact: Artifact): Artifact {
    return artifact.shards || !artifact.origin
      ? artifact
      : { ...artifact, shards: this.#ledger.read(artifact.origin).shards }
  }
}
