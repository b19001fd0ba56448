/**
 * Shards on their way to a server: gathered into batches, asked about with one question a batch, and sent where they are missing,
 * a few at once, while the next batch is being filled.
 *
 * Two banks of buffers are all the memory there is. Whoever fills them waits while both are under way, so a fast origin can
 * not run ahead of a slow server.
 */
import { limits } from '#contracts/limits.ts'
import type { Digest, Shard } from '#contracts/manifest.ts'
import type { GlimClient } from './client.ts'

/** A shard's bytes are the caller's again once `putBlob` has resolved. */
export type BlobReceiver = Pick<GlimClient, 'missingBlobs' | 'putBlob'>

const batchShards = 4
const concurrentShards = 4

interface Filled extends Shard {
  bytes: Uint8Array
}

export class ShardSender {
  readonly #client: BlobReceiver
  /** What the server is known to hold: a shard that occurs twice is asked about and sent once. */
  readonly #held = new Set<Digest>()
  readonly #banks: [Uint8Array[], Uint8Array[]] = [[], []]
  #bank: 0 | 1 = 0
  #batch: Filled[] = []
  #underWay: Promise<void> = Promise.resolve()
  #sentBytes = 0

  constructor(client: BlobReceiver) {
    this.#client = client
  }

  /** Bytes that went over the wire. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Where the next shard's bytes are to be put. */
  get room(): Uint8Array {
    const bank = this.#banks[this.#bank]
    bank[this.#batch.length] ??= new Uint8Array(limits.shardBytes)
    return bank[this.#batch.length]!
  }

  /** Takes the shard that lies in `room`; resolves once there is room for another. @throws as the client does. */
  async take(shard: Shard): Promise<void> {
    this.#batch.push({ ...shard, bytes: this.room.subarray(0, shard.sizeBytes) })
    if (this.#batch.length === batchShards) await this.#dispatch()
  }

  /** Resolves once the server holds everything that was taken. */
  async finish(): Promise<void> {
    await this.#dispatch()
    await this.#underWay
  }

  /** Resolves once nothing is under way, whatever came of it. */
  async settle(): Promise<void> {
    await this.#underWay.catch(() => {})
  }

  async #dispatch(): Promise<void> {
    await this.#underWay
    this.#underWay = this.#deliver(this.#batch)
    // It is awaited at the next turn; a failure before that has not been forgotten.
    this.#underWay.catch(() => {})
    this.#batch = []
    this.#bank = this.#bank === 0 ? 1 : 0
  }

  async #deliver(batch: readonly Filled[]): Promise<void> {
    const fresh = new Map(batch.filter(({ digest }) => !this.#held.has(digest)).map((shard) => [shard.digest, shard]))
    if (fresh.size === 0) return
    const missing = await this.#client.missingBlobs([...fresh.keys()])
    const queue = missing.values()
    let failed = false
    const sendInTurn = async () => {
      // One iterator shared by all lanes: each takes the next shard when it is free.
      for (const digest of queue) {
        const shard = fresh.get(digest)
        if (failed || !shard) return
        try {
          await this.#client.putBlob(digest, shard.bytes)
        } catch (error) {
          failed = true
          throw error
        }
        this.#sentBytes += shard.sizeBytes
      }
    }
    // Settled, not raced: the buffers are free only when the last lane has let go of them.
    const lanes = await Promise.allSettled(Array.from({ length: concurrentShards }, sendInTurn))
    const failure = lanes.find((lane) => lane.status === 'rejected')
    if (failure) throw failure.reason
    for (const digest of fresh.keys()) this.#held.add(digest)
  }
}
