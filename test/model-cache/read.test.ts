import { beforeEach, describe, expect, it } from 'vitest'
import type { BlobStore } from '#contracts/blob-store.ts'
import { unavailable } from '#contracts/errors.ts'
import { bufferPool } from '#model-cache/buffers.ts'
import type { Progress } from '#model-cache/progress.ts'
import { readArtifact, streamArtifact, withShards, writeArtifact } from '#model-cache/read-artifact.ts'
import { readShard } from '#model-cache/read-shard.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { tieredStore } from '#model-cache/stores/tiers.ts'
import { allBytes, artifactOf, partsOf, randomFrom, sha256 } from './support/bytes.ts'
import { brokenStore, countedStore, settled } from './support/counted-store.ts'

const shardBytes = 1_000
const random = randomFrom(7)
const file = random.bytes(12_345)
const artifact = artifactOf(file, shardBytes)

async function filledStore(name: string, bytes = file): Promise<BlobStore> {
  const store = memoryStore(name)
  for (const part of partsOf(bytes, shardBytes)) await store.put(sha256(part), part)
  return store
}

describe('readShard', () => {
  const [shard] = artifact.shards
  const bytes = file.subarray(0, shardBytes)
  let near: BlobStore
  let middle: BlobStore
  let far: BlobStore

  beforeEach(async () => {
    near = memoryStore('near')
    middle = memoryStore('middle')
    far = await filledStore('far')
  })

  it('copies a shard found in a far tier into every nearer tier', async () => {
    expect(await readShard(shard!, { tiers: [near, middle, far] })).toEqual(bytes)
    expect(await near.get(shard!.digest)).toEqual(bytes)
    expect(await middle.get(shard!.digest)).toEqual(bytes)
  })

  it.each([0, 1, 2])('refuses any wrong byte in tier %i, and heals it from another tier', async (liar) => {
    const tiers = await Promise.all(['near', 'middle', 'far'].map((name) => filledStore(name)))
    tiers.push(await filledStore('origin'))
    for (const { digest, sizeBytes } of artifact.shards) {
      for (let round = 0; round < 40; round++) {
        const intact = (await tiers[3]!.get(digest))!
        const wrong = intact.slice()
        wrong[random.below(sizeBytes)]! ^= 1 << random.below(8)
        // Tiers nearer than the liar have nothing, so that it is asked.
        for (const nearer of tiers.slice(0, liar)) await nearer.delete(digest)
        await tiers[liar]!.put(digest, wrong)
        expect(await readShard({ digest, sizeBytes }, { tiers })).toEqual(intact)
        expect(await tiers[liar]!.get(digest)).toEqual(intact)
      }
    }
  })

  it.each([
    ['shorter', bytes.subarray(1)],
    ['longer', Uint8Array.of(...bytes, 0)],
    ['empty', new Uint8Array()],
  ])('refuses a copy that is %s', async (_, wrong) => {
    await near.put(shard!.digest, wrong)
    expect(await readShard(shard!, { tiers: [near, far] })).toEqual(bytes)
    expect(await near.get(shard!.digest)).toEqual(bytes)
  })

  it('names the shard, every tier and what each sent when the origin lies too', async () => {
    const wrong = bytes.slice().fill(0)
    await far.put(shard!.digest, wrong)
    const read = readShard(shard!, { tiers: [near, far] })
    await expect(read).rejects.toMatchObject({ code: 'DATA_LOSS', retryable: false })
    await expect(read).rejects.toThrow(
      `Shard ${shard!.digest} is not to be had intact (near: absent; far: corrupt, 1000 bytes of ${sha256(wrong)})`,
    )
  })

  it('looks deeper where a nearer tier fails', async () => {
    const broken = brokenStore('broken', new Error('disk gone'))
    expect(await readShard(shard!, { tiers: [broken, far] })).toEqual(bytes)
  })

  it('is retryable where a tier that may have the shard cannot be reached', async () => {
    const broken = brokenStore('broken', new Error('secret detail'))
    const read = readShard(shard!, { tiers: [near, broken] })
    await expect(read).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE', retryable: true })
    await expect(read).rejects.not.toThrow('secret detail')
    const limited = brokenStore('limited', unavailable('The origin rests.', 7))
    await expect(readShard(shard!, { tiers: [near, limited] })).rejects.toThrow('The origin rests.')
  })

  it('blames the manifest, and keeps the blob, where the manifest misstates a size', async () => {
    const read = readShard({ ...shard!, sizeBytes: 999 }, { tiers: [far] })
    await expect(read).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    expect(await far.has(shard!.digest)).toBe(true)
  })

  it('answers though a nearer tier takes no copy', async () => {
    const full: BlobStore = { ...memoryStore('full'), put: () => Promise.reject(new Error('full')) }
    expect(await readShard(shard!, { tiers: [full, far] })).toEqual(bytes)
  })
})

describe('the tiered store', () => {
  it('evicts the liar and heals it', async () => {
    const [near, far] = [memoryStore('near'), await filledStore('far')]
    const { digest } = artifact.shards[0]!
    await near.put(digest, Uint8Array.of(1))
    expect(await tieredStore([near, far]).get(digest)).toEqual(file.subarray(0, shardBytes))
    expect(await near.get(digest)).toEqual(file.subarray(0, shardBytes))
  })

  it('reports data loss, not absence, where all copies lie', async () => {
    const near = memoryStore('near')
    const { digest } = artifact.shards[0]!
    await near.put(digest, Uint8Array.of(1))
    await expect(tieredStore([near]).get(digest)).rejects.toMatchObject({ code: 'DATA_LOSS' })
    expect(await near.has(digest)).toBe(false)
  })

  it('writes to the nearest tier that takes it', async () => {
    const [near, far] = [memoryStore('near'), memoryStore('far')]
    const tiers = tieredStore([brokenStore('broken', new Error('read-only')), near, far])
    await tiers.put(artifact.shards[0]!.digest, file.subarray(0, shardBytes))
    expect(await near.has(artifact.shards[0]!.digest)).toBe(true)
    expect(await far.has(artifact.shards[0]!.digest)).toBe(false)
  })
})

describe('streamArtifact', () => {
  it('gives the shards in order, whatever order they arrive in', async () => {
    let turn = 0
    const store = countedStore(await filledStore('near'), async () => {
      for (let wait = turn++ % 4; wait < 4; wait++) await settled()
    })
    expect(await allBytes(streamArtifact(artifact, { tiers: [store] }))).toEqual(file)
  })

  it('reads nothing before somebody asks, and then only as far as its window', async () => {
    const store = countedStore(await filledStore('near'))
    const reader = streamArtifact(artifact, { tiers: [store], inFlight: 3 }).getReader()
    await settled()
    expect(store.reads).toHaveLength(0)
    for (let read = 1; read <= 5; read++) {
      await reader.read()
      await settled()
      expect(store.reads).toHaveLength(read + 3)
    }
  })

  it('reads as many at once as its window, and no more', async () => {
    const store = countedStore(await filledStore('near'), settled)
    await allBytes(streamArtifact(artifact, { tiers: [store], inFlight: 4 }))
    expect(store.mostOpen).toBe(4)
    expect(store.reads).toEqual(artifact.shards.map(({ digest }) => digest))
  })

  it('cancels the reads under way when its reader cancels', async () => {
    const seen: AbortSignal[] = []
    const store: BlobStore = {
      ...memoryStore(),
      get: (_, options) => {
        seen.push(options!.signal!)
        return new Promise((_resolve, reject) => {
          options!.signal!.addEventListener('abort', () => reject(options!.signal!.reason))
        })
      },
    }
    const reader = streamArtifact(artifact, { tiers: [store], inFlight: 2 }).getReader()
    const read = reader.read()
    await settled()
    await reader.cancel('enough')
    expect(await read).toEqual({ done: true, value: undefined })
    expect(seen.map((signal) => signal.aborted)).toEqual([true, true])
  })

  it('ends with its caller’s reason when the caller’s signal aborts', async () => {
    const caller = new AbortController()
    const store = await filledStore('near')
    const reader = streamArtifact(artifact, { tiers: [store], signal: caller.signal }).getReader()
    await reader.read()
    caller.abort(new Error('deadline'))
    await expect(reader.read()).rejects.toThrow('deadline')
  })

  it('refuses a corrupt shard before any byte of it is out', async () => {
    const store = await filledStore('near')
    await store.put(artifact.shards[5]!.digest, new Uint8Array(shardBytes))
    const reader = streamArtifact(artifact, { tiers: [store] }).getReader()
    for (let shard = 0; shard < 5; shard++) await reader.read()
    await expect(reader.read()).rejects.toThrow(artifact.shards[5]!.digest)
  })

  it('is empty for an empty file', async () => {
    const store = memoryStore()
    const empty = sha256(new Uint8Array())
    await store.put(empty, new Uint8Array())
    const one = { ...artifactOf(new Uint8Array(), 1), shards: [{ digest: empty, sizeBytes: 0 }] }
    for (const shards of [one.shards, []]) {
      expect(await allBytes(streamArtifact({ ...one, shards }, { tiers: [store] }))).toEqual(new Uint8Array())
    }
  })

  it('tells its progress shard by shard, with tier and speed', async () => {
    const near = memoryStore('near')
    const first = artifact.shards[0]!
    await near.put(first.digest, file.subarray(0, shardBytes))
    let clockMs = 0
    const now = () => {
      clockMs += 100
      return clockMs
    }
    const seen: Progress[] = []
    const tiers = [near, await filledStore('far')]
    await allBytes(streamArtifact(artifact, { tiers, now, onProgress: (progress) => seen.push(progress) }))
    const total = { artifact: 'model.onnx', shards: 13, bytes: 12_345 }
    expect(seen[0]).toEqual({ ...total, shardsDone: 1, bytesDone: 1_000, tier: 'near', bytesPerSecond: 10_000 })
    expect(seen[1]).toEqual({ ...total, shardsDone: 2, bytesDone: 2_000, tier: 'far', bytesPerSecond: 10_000 })
    expect(seen.at(-1)).toMatchObject({ shardsDone: 13, bytesDone: 12_345 })
  })

  it('asks to come again for an artifact whose shards nobody knows yet', () => {
    const { shards: _, ...unread } = artifact
    expect(() => withShards(unread)).toThrow('"model.onnx" has not been fetched from its origin yet.')
  })
})

describe('writeArtifact', () => {
  it('reads the next shard into memory it has used before', async () => {
    const buffers = bufferPool()
    const taken = new Set<ArrayBufferLike>()
    const inner = await filledStore('near')
    const store: BlobStore = {
      ...inner,
      async get(digest) {
        const bytes = (await inner.get(digest))!
        const lent = buffers.take(bytes.byteLength)
        taken.add(lent.buffer)
        lent.set(bytes)
        return lent
      },
    }
    const chunks: Uint8Array[] = []
    const sink = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk.slice()) })
    await writeArtifact(artifact, sink, { tiers: [store], inFlight: 2, buffers })
    expect(new Uint8Array(Buffer.concat(chunks))).toEqual(file)
    expect(taken.size).toBe(3)
  })

  it('stops reading and reports why when the stream is cancelled', async () => {
    const store = countedStore(await filledStore('near'))
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const written = writeArtifact(artifact, writable, { tiers: [store], inFlight: 1 })
    const reader = readable.getReader()
    await reader.read()
    await reader.cancel(new Error('client left'))
    await expect(written).rejects.toThrow('client left')
    expect(store.reads.length).toBeLessThan(6)
  })

  it('aborts the stream with what reading threw', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const written = writeArtifact(artifact, writable, { tiers: [memoryStore()] })
    await expect(readable.getReader().read()).rejects.toMatchObject({ code: 'DATA_LOSS' })
    await expect(written).rejects.toMatchObject({ code: 'DATA_LOSS' })
  })
})

describe('readArtifact', () => {
  it('gives the whole of a small artifact', async () => {
    expect(await readArtifact(artifact, [await filledStore('near')])).toEqual(file)
  })
})
