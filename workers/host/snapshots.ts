/**
 * Heap snapshots between isolates and the model cache. A snapshot is a memory image and is trusted like code: only a builder mount
 * has the door to write one (`SnapshotSink`), a serving isolate can only read the one that is named after what it serves, and every
 * shard is compared with its digest on every read.
 *
 * A snapshot lies on disk as shards that begin with its own key. So no shard of a snapshot is ever also a shard of a model, which
 * could not be made again if it were evicted as a snapshot may be.
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { hexOf } from '#contracts/bytes.ts'
import { badRequest, dataLoss, isServingError } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Digest, Shard } from '#contracts/manifest.ts'
import { resultOf } from '#contracts/outcome.ts'
import type { Buffers } from '#model-cache/buffers.ts'
import { digestOf } from '#model-cache/digest.ts'
import { readShard } from '#model-cache/read-shard.ts'
import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
import { type HostEnv, modelCache } from './env.ts'

const tagBytes = 32

interface SinkProps {
  key: Digest
  manifest: Digest
}

/** Only builder mounts hold one, each for the one snapshot that it builds. */
export class SnapshotSink extends WorkerEntrypoint<HostEnv, SinkProps> {
  /** PUT with `x-size-bytes`: 200 once the snapshot is whole, on disk and named. */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== 'PUT' || !request.body) return new Response(null, { status: 405 })
    try {
      await this.#write(request.body, Number(request.headers.get('x-size-bytes')))
      return new Response()
    } catch (error) {
      if (isServingError(error)) return Response.json(error, { status: error.status })
      throw error
    }
  }

  async #write(body: ReadableStream<Uint8Array>, sizeBytes: number): Promise<void> {
    const { key, manifest } = this.ctx.props
    const cache = modelCache(this.env)
    const shards: Shard[] = []
    const shard = new Uint8Array(limits.shardBytes)
    shard.set(tagOf(key))
    let [filled, total] = [tagBytes, 0]
    const flush = async () => {
      const bytes = shard.subarray(0, filled)
      const digest = await digestOf(bytes)
      resultOf(await cache.put(digest, bytes))
      shards.push({ digest, sizeBytes: filled })
      filled = tagBytes
    }
    const reader = body.getReader()
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      total += read.value.byteLength
      for (let at = 0; at < read.value.byteLength; ) {
        const piece = read.value.subarray(at, at + shard.byteLength - filled)
        shard.set(piece, filled)
        filled += piece.byteLength
        at += piece.byteLength
        if (filled === shard.byteLength) await flush()
      }
    }
    if (total !== sizeBytes) throw badRequest(`The snapshot ended after ${total} of ${sizeBytes} bytes.`)
    if (filled > tagBytes) await flush()
    await cache.putSnapshot(key, manifest, shards)
  }
}

export interface SnapshotStreamOptions {
  env: HostEnv
  ctx: Pick<ExecutionContext, 'waitUntil'>
  buffers: Buffers
}

/** Resolves to the bytes of a snapshot as they were written, or to null where there is none. A damaged one is dropped. */
export async function snapshotStream(
  key: Digest,
  { env, ctx, buffers }: SnapshotStreamOptions,
): Promise<ReadableStream<Uint8Array> | null> {
  const cache = modelCache(env)
  const shards = await cache.snapshotShards(key)
  if (shards.length === 0) return null
  const payloadBytes = shards.reduce((total, { sizeBytes }) => total + sizeBytes - tagBytes, 0)
  const { readable, writable } = new FixedLengthStream(payloadBytes)
  const written = writeShards(key, shards, writable, { env, buffers }).catch(async (error: unknown) => {
    if (!isServingError(error)) throw error
    await cache.dropSnapshot(key)
    console.error(`Snapshot ${key} was dropped: ${error.message}`)
  })
  ctx.waitUntil(written.catch(() => undefined))
  return readable
}

async function writeShards(
  key: Digest,
  shards: readonly Shard[],
  writable: WritableStream<Uint8Array>,
  { env, buffers }: Pick<SnapshotStreamOptions, 'env' | 'buffers'>,
): Promise<void> {
  const disk = diskServiceStore(env.BLOBS, 'disk', buffers)
  const tag = hexOf(tagOf(key))
  const writer = writable.getWriter()
  const read = (shard: Shard | undefined) => {
    const bytes = shard && readShard(shard, { tiers: [disk] })
    // A read that fails is reported in its turn.
    bytes?.catch(() => undefined)
    return bytes
  }
  try {
    let next = read(shards[0])
    for (let at = 1; next; at++) {
      const bytes = await next
      next = read(shards[at])
      if (hexOf(bytes.subarray(0, tagBytes)) !== tag) throw dataLoss(`Shard ${at} is of another snapshot.`)
      await writer.write(bytes.subarray(tagBytes))
      buffers.give(bytes)
    }
    await writer.close()
  } catch (error) {
    // What is to be done about a shard of a model does not hold here: the snapshot is made again by itself.
    await writer.abort(dataLoss('a part of it is gone or damaged')).catch(() => undefined)
    throw error
  }
}

function tagOf(key: Digest): Uint8Array {
  const hex = key.slice('sha256:'.length)
  return Uint8Array.from({ length: tagBytes }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
}
