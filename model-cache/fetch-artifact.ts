/**
 * The first read of a file whose shards nobody knows yet. The file streams from its origin once, is cut into shards on the way,
 * and each shard is in the store before the next is read, so that memory stays at one shard and a broken transfer continues
 * behind the last whole one.
 *
 * A shard that is known from an earlier try is read back from the store, never from the origin; where the store lost one, only
 * the gap is fetched. Until the last byte nothing vouches for the shards: the file's digest does then, or, where its origin
 * publishes none, what was seen is what is pinned.
 */
import type { BlobStore } from '#contracts/blob-store.ts'
import { conflict, dataLoss } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Digest, Shard } from '#contracts/manifest.ts'
import { digestOf } from './digest.ts'
import type { IncrementalHash } from './digest-stream.ts'
import { isIntact } from './intact.ts'
import { addressOf, type OriginFile } from './origin.ts'
import { type ProgressMeter, type ProgressOptions, progressMeter } from './progress.ts'
import { readRange } from './read-range.ts'
import { type RetryOptions, retrying } from './retry.ts'

export interface FetchArtifactOptions extends OriginFile, RetryOptions, ProgressOptions {
  /** Names the file in progress events; its address where absent. */
  path?: string
  sizeBytes: number
  /** Of the whole file, where its origin publishes one. */
  digest?: Digest | undefined
  store: BlobStore
  /** Shards from byte 0 on that an earlier call heard of, and the tag that it heard with them. */
  known?: readonly Shard[]
  etag?: string | undefined
  /** Hears of every shard beyond the known ones once it is in the store, in order, so that a caller can continue after a restart. */
  onShard?: (shard: Shard, etag: string | undefined) => Promise<void> | void
  newHash: () => IncrementalHash
  shardBytes?: number
  /** How long the origin may send nothing. */
  idleMs?: number
}

export interface FetchedArtifact {
  shards: Shard[]
  digest: Digest
  etag: string | undefined
  /** Whether `digest` is only what this read saw, because none was published. */
  pinned: boolean
}

/**
 * Resolves once every shard is in the store and the whole file is what its digest says.
 *
 * @throws {ServingError} naming the address and the problem. Retryable: the origin failed `attempts` times without bringing a
 * whole shard; call again with what `onShard` heard. Final: the file is another one than expected; the shards that this
 * call wrote are deleted again, and the caller forgets those that it knew.
 */
export async function fetchArtifact(options: FetchArtifactOptions): Promise<FetchedArtifact> {
  const { sizeBytes, digest, store, newHash, shardBytes = limits.shardBytes } = options
  const where = addressOf(options.url)
  const total = { artifact: options.path ?? where, shards: Math.ceil(sizeBytes / shardBytes), bytes: sizeBytes }
  const state: FetchState = {
    shardBytes,
    shards: [],
    offset: 0,
    etag: options.etag,
    hash: newHash(),
    written: new Set(),
    meter: progressMeter(total, options),
  }
  try {
    while (state.offset < sizeBytes) if (!(await reuseStored(options, state))) await fetchGap(options, state)
    const actual = await state.hash.digest()
    if (digest && actual !== digest) throw dataLoss(`${where} is ${actual}, not ${digest}; nothing of it was kept.`)
    return { shards: state.shards, digest: actual, etag: state.etag, pinned: !digest }
  } catch (error) {
    if (isFinal(error)) await Promise.allSettled([...state.written].map((shard) => store.delete(shard)))
    throw error
  }
}

interface FetchState {
  shardBytes: number
  /** Complete, in the store and hashed. */
  shards: Shard[]
  /** The bytes of `shards`. */
  offset: number
  etag: string | undefined
  hash: IncrementalHash
  /** What this call brought into the store and was not there before. */
  written: Set<Digest>
  meter: ProgressMeter
}

/** Resolves to whether the next shard was known and lay intact in the store. */
async function reuseStored({ known = [], store, signal }: FetchArtifactOptions, state: FetchState): Promise<boolean> {
  const shard = known[state.shards.length]
  if (!shard) return false
  const bytes = await store.get(shard.digest, signal ? { signal } : {})
  if (!bytes || bytes.byteLength !== shard.sizeBytes || !(await isIntact(shard.digest, bytes))) return false
  await complete(shard, bytes, state)
  state.meter.advance(shard.sizeBytes, store.name, false)
  return true
}

/** Reads from the origin up to the next known shard that the store still has. */
async function fetchGap(options: FetchArtifactOptions, state: FetchState): Promise<void> {
  const { url, headers, fetch, sizeBytes, signal, idleMs, sleep } = options
  const toByte = await endOfGap(options, state)
  let before = state.shards.length
  const progressed = () => {
    const isNew = state.shards.length > before
    before = state.shards.length
    return isNew
  }
  const read = async () => {
    if (state.offset === toByte) return
    const pending = new PendingShard(state, toByte)
    const range = { fromByte: state.offset, toByte, sizeBytes, etag: state.etag, signal, idleMs, sleep }
    const onEtag = (etag: string | undefined) => {
      state.etag ??= etag
    }
    await readRange({ url, headers, fetch }, { ...range, onEtag }, async (chunk) => {
      for (let at = 0; at < chunk.byteLength; ) {
        at += pending.append(chunk.subarray(at))
        if (pending.isWhole) await keep(pending.take(), options, state)
      }
    })
  }
  await retrying(read, options, progressed)
}

async function endOfGap({ known = [], store, sizeBytes }: FetchArtifactOptions, state: FetchState): Promise<number> {
  let end = state.offset
  for (const [index, shard] of known.slice(state.shards.length).entries()) {
    if (index > 0 && (await store.has(shard.digest))) return end
    end += shard.sizeBytes
  }
  return sizeBytes
}

/** A shard from the origin: into the store, then into the hash, then to the caller. */
async function keep(bytes: Uint8Array, options: FetchArtifactOptions, state: FetchState): Promise<void> {
  const { known = [], store, onShard, url } = options
  const shard: Shard = { digest: await digestOf(bytes), sizeBytes: bytes.byteLength }
  const expected = known[state.shards.length]
  if (expected && expected.digest !== shard.digest) {
    const place = `bytes ${state.offset} to ${state.offset + shard.sizeBytes - 1}`
    throw conflict(`${addressOf(url)} changed: ${place} were ${expected.digest} and are ${shard.digest}.`)
  }
  if (!(await store.has(shard.digest))) state.written.add(shard.digest)
  await store.put(shard.digest, bytes)
  await complete(shard, bytes, state)
  if (!expected) await onShard?.(shard, state.etag)
  state.meter.advance(shard.sizeBytes, 'origin')
}

async function complete(shard: Shard, bytes: Uint8Array, state: FetchState): Promise<void> {
  await state.hash.update(bytes)
  state.shards.push(shard)
  state.offset += shard.sizeBytes
}

/** Collects chunks of any size into shards, in one buffer. */
class PendingShard {
  readonly #buffer: Uint8Array
  #filled = 0
  #remaining: number

  constructor({ offset, shardBytes }: FetchState, toByte: number) {
    this.#remaining = toByte - offset
    this.#buffer = new Uint8Array(Math.min(shardBytes, this.#remaining))
  }

  get isWhole(): boolean {
    return this.#filled > 0 && this.#filled === Math.min(this.#buffer.byteLength, this.#remaining)
  }

  /** Returns how many of the bytes it took. */
  append(bytes: Uint8Array): number {
    const room = Math.min(this.#buffer.byteLength, this.#remaining) - this.#filled
    const taken = bytes.subarray(0, room)
    this.#buffer.set(taken, this.#filled)
    this.#filled += taken.byteLength
    return taken.byteLength
  }

  /** Returns the shard, valid until the next `append`. */
  take(): Uint8Array {
    const whole = this.#buffer.subarray(0, this.#filled)
    this.#remaining -= this.#filled
    this.#filled = 0
    return whole
  }
}

/** The origin has another file than the one asked for. */
function isFinal(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'DATA_LOSS' || code === 'RESOURCE_CONFLICT'
}
