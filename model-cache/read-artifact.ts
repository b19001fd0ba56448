/**
 * An artifact as one verified stream, shard by shard. While its reader works on one shard, up to `inFlight` more are read, so
 * that at most `inFlight` + 1 shards are in memory; nothing is read before somebody asks, and whoever stops reading stops the
 * reads.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { unavailable } from '#contracts/errors.ts'
import type { Artifact, Shard } from '#contracts/manifest.ts'
import type { Buffers } from './buffers.ts'
import { type ProgressOptions, progressMeter } from './progress.ts'
import { type FoundBlob, findShard, readShard } from './read-shard.ts'

/** An artifact whose shards are known: all but those with an origin that were never read. */
export type ResolvedArtifact = Artifact & { shards: Shard[] }

export interface StreamArtifactOptions extends ProgressOptions {
  /** Nearest first. */
  tiers: readonly BlobStore[]
  /** Shards that are read ahead of the reader. */
  inFlight?: number
  signal?: AbortSignal | undefined
}

/** @throws {ServingError} TEMPORARILY_UNAVAILABLE where the first read of the artifact is still to come; retryable. */
export function withShards(artifact: Artifact): ResolvedArtifact {
  if (!artifact.shards) throw unavailable(`"${artifact.path}" has not been fetched from its origin yet.`, 5)
  return artifact as ResolvedArtifact
}

/** The bytes of a chunk are the reader's own. */
export function streamArtifact(artifact: ResolvedArtifact, options: StreamArtifactOptions): ReadableStream<Uint8Array> {
  const reads = readAhead(artifact, options)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const found = await reads.next()
          if (!found) return controller.close()
          // An empty file may be one empty shard, and streams refuse empty chunks.
          if (found.bytes.byteLength > 0) return controller.enqueue(found.bytes)
        }
      },
      cancel: (reason) => reads.stop(reason),
    },
    { highWaterMark: 0 },
  )
}

export interface WriteArtifactOptions extends StreamArtifactOptions {
  /**
   * Where a shard's memory goes once it is written. Only for streams whose writes resolve when the bytes have been consumed,
   * which is what workerd's `FixedLengthStream` does and a plain `TransformStream` does not.
   */
  buffers?: Buffers | undefined
}

/**
 * Resolves once the whole artifact went through the stream and the stream is closed. A reader that cancels ends the reads.
 *
 * @throws what reading or the stream threw; the stream is aborted with the same.
 */
export async function writeArtifact(
  artifact: ResolvedArtifact,
  writable: WritableStream<Uint8Array>,
  { buffers, ...options }: WriteArtifactOptions,
): Promise<void> {
  const reads = readAhead(artifact, options)
  const writer = writable.getWriter()
  writer.closed.catch((reason: unknown) => reads.stop(reason))
  try {
    for (let found = await reads.next(); found; found = await reads.next()) {
      if (found.bytes.byteLength > 0) await writer.write(found.bytes)
      buffers?.give(found.bytes)
    }
    await writer.close()
  } catch (error) {
    reads.stop(error)
    await writer.abort(error).catch(() => undefined)
    throw error
  }
}

/** Resolves to a whole small artifact; the caller has checked `artifact.sizeBytes`. @throws {ServingError} as `withShards`. */
export async function readArtifact(artifact: Artifact, tiers: readonly BlobStore[]): Promise<Uint8Array> {
  const { shards, sizeBytes } = withShards(artifact)
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const shard of shards) {
    bytes.set(await readShard(shard, { tiers }), at)
    at += shard.sizeBytes
  }
  return bytes
}

interface ReadAhead {
  /** Resolves to the next shard in order, or to undefined after the last. */
  next(): Promise<FoundBlob | undefined>
  stop(reason: unknown): void
}

function readAhead(
  { path, sizeBytes, shards }: ResolvedArtifact,
  { tiers, inFlight = 3, signal, ...progress }: StreamArtifactOptions,
): ReadAhead {
  const stopped = new AbortController()
  const either = signal ? AbortSignal.any([signal, stopped.signal]) : stopped.signal
  const meter = progressMeter({ artifact: path, shards: shards.length, bytes: sizeBytes }, progress)
  const window: Promise<FoundBlob>[] = []
  let asked = 0
  const fill = () => {
    for (; window.length < inFlight && asked < shards.length; asked++) {
      const read = findShard(shards[asked]!, { tiers, signal: either })
      // A read that fails is reported in its turn.
      read.catch(() => undefined)
      window.push(read)
    }
  }
  const stop = (reason: unknown) => {
    stopped.abort(reason)
    window.length = 0
  }
  return {
    async next() {
      either.throwIfAborted()
      fill()
      const first = window.shift()
      if (!first) return undefined
      try {
        const found = await first
        either.throwIfAborted()
        fill()
        meter.advance(found.bytes.byteLength, found.tier)
        return found
      } catch (error) {
        stop(error)
        throw error
      }
    },
    stop,
  }
}
