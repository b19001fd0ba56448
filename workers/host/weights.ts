/**
 * The only door out of an endpoint isolate: the artifacts of its own manifest, read-only. The manifest's digest is in the
 * props, which the host sets at mount and the isolate can neither read nor change, so no path names another version's bytes.
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import type { BlobStore } from '#contracts/blob-store.ts'
import { isServingError, notBuilt } from '#contracts/errors.ts'
import type { Artifact, Digest, Manifest } from '#contracts/manifest.ts'
import { resultOf } from '#contracts/outcome.ts'
import { bufferPool } from '#model-cache/buffers.ts'
import { readManifest } from '#model-cache/manifest.ts'
import { writeArtifact } from '#model-cache/read-artifact.ts'
import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
import { type HostEnv, modelCache } from './env.ts'
import { snapshotStream } from './snapshots.ts'

/** Shards on their way to isolates; two of them for each load under way. */
const buffers = bufferPool()

/** Read, verified and validated once; a load asks for a dozen artifacts. */
const manifests = new Map<Digest, Manifest>()
const mostManifests = 64

/** When the use of a version was noted last. */
const notedMs = new Map<Digest, number>()
/** Longer than most loads take. */
const noteAfterMs = 250

interface WeightsProps {
  manifest: Digest
  /** The one heap snapshot that this mount may read. */
  snapshot: Digest
}

export class Weights extends WorkerEntrypoint<HostEnv, WeightsProps> {
  /**
   * GET or HEAD `http://weights/?path=…`: 200 with the artifact's size and bytes, 404 where the version has none.
   * GET `http://weights/files`: the size of every artifact of the version, by path.
   * GET `http://weights/snapshot`: the heap snapshot of this mount's session, 404 where there is none.
   */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return new Response(null, { status: 405 })
    const url = new URL(request.url)
    const path = url.searchParams.get('path') ?? ''
    try {
      if (url.pathname === '/snapshot') {
        const stream = await snapshotStream(this.ctx.props.snapshot, { env: this.env, ctx: this.ctx, buffers })
        return new Response(stream, { status: stream ? 200 : 404 })
      }
      const manifest = await this.#manifest()
      if (url.pathname === '/files') {
        return Response.json(Object.fromEntries(manifest.artifacts.map(({ path, sizeBytes }) => [path, sizeBytes])))
      }
      const artifact = manifest.artifacts.find((candidate) => candidate.path === path)
      if (!artifact) return new Response(null, { status: 404 })
      const body = request.method === 'HEAD' ? null : await this.#stream(artifact)
      return new Response(body, { headers: { 'x-size-bytes': String(artifact.sizeBytes) } })
    } catch (error) {
      if (isServingError(error)) return Response.json(error, { status: error.status })
      throw error
    }
  }

  async #manifest(): Promise<Manifest> {
    const { manifest: digest } = this.ctx.props
    let manifest = manifests.get(digest)
    if (!manifest) {
      manifest = await readManifest(digest, [diskServiceStore(this.env.BLOBS)])
      if (manifests.size >= mostManifests) manifests.delete(manifests.keys().next().value!)
      manifests.set(digest, manifest)
    }
    return manifest
  }

  /** Costs a transaction that reaches the disk, so one stands for all artifacts of a load, and the load does not wait for it. */
  #noteUse(): void {
    const { manifest } = this.ctx.props
    const nowMs = Date.now()
    if (nowMs - (notedMs.get(manifest) ?? 0) < 2 * noteAfterMs) return
    if (notedMs.size >= mostManifests) notedMs.clear()
    notedMs.set(manifest, nowMs)
    const note = async () => {
      await new Promise((resolve) => setTimeout(resolve, noteAfterMs))
      await modelCache(this.env).touch(manifest)
    }
    this.ctx.waitUntil(note())
  }

  async #stream(artifact: Artifact): Promise<ReadableStream<Uint8Array>> {
    const cache = modelCache(this.env)
    const shards = artifact.shards ?? resultOf(await cache.shardsOf(artifact))
    this.#noteUse()
    const disk = diskServiceStore(this.env.BLOBS, 'disk', buffers)
    const tiers = artifact.origin
      ? [disk, originTier(disk, this.env, new Map(shards.map((shard) => [shard.digest, shard.sizeBytes])))]
      : [disk]
    // Its writes resolve once the isolate has the bytes, so that a shard's memory serves the next one.
    const { readable, writable } = new FixedLengthStream(artifact.sizeBytes)
    const written = writeArtifact({ ...artifact, shards }, writable, { tiers, inFlight: 1, buffers })
    this.ctx.waitUntil(written.catch((error: unknown) => console.error(`${artifact.path}: ${error}`)))
    return readable
  }
}

/** The hub as the tier behind the disk: the cache's object brings the shard there, once for everybody who asks. */
function originTier(disk: BlobStore, env: HostEnv, sizes: ReadonlyMap<Digest, number>): BlobStore {
  return {
    name: 'hub',
    async get(digest) {
      resultOf(await modelCache(env).restore({ digest, sizeBytes: sizes.get(digest) ?? 0 }))
      return disk.get(digest)
    },
    // It has just been written there.
    put: async () => undefined,
    has: async (digest) => sizes.has(digest),
    async delete() {
      throw notBuilt('Deleting from the hub')
    },
  }
}
