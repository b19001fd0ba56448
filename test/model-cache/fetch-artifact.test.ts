import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Shard } from '#contracts/manifest.ts'
import { type FetchArtifactOptions, fetchArtifact } from '#model-cache/fetch-artifact.ts'
import type { Progress } from '#model-cache/progress.ts'
import type { Sleep } from '#model-cache/retry.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { newHash, partsOf, randomFrom, sha256, shardsOfBytes } from './support/bytes.ts'
import { countedStore } from './support/counted-store.ts'
import { type OriginServer, startOrigin } from './support/origin-server.ts'

const shardBytes = 32 * 1024
const idleMs = 77_777
const file = randomFrom(11).bytes(10 * shardBytes + 12_345)
const shards = shardsOfBytes(file, shardBytes)
const digest = sha256(file)

let origin: OriginServer
let store: BlobStore
let waits: number[]
let heard: { shard: Shard; etag: string | undefined }[]

beforeEach(async () => {
  origin = await startOrigin(file)
  store = memoryStore('disk')
  waits = []
  heard = []
})
afterEach(() => origin.stop())

/** Waiting to try again takes no time; an origin's silence never ends by itself. */
const sleep: Sleep = async (ms, signal) => {
  if (ms !== idleMs) return void waits.push(ms)
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
}

function fetchFile(changes: Partial<FetchArtifactOptions> = {}) {
  const onShard = (shard: Shard, etag: string | undefined) => void heard.push({ shard, etag })
  const plain = {
    url: origin.url,
    sizeBytes: file.byteLength,
    digest,
    store,
    fetch,
    newHash,
    shardBytes,
    idleMs,
    sleep,
  }
  return fetchArtifact({ ...plain, onShard, ...changes })
}

async function isStoredWhole(): Promise<boolean> {
  for (const part of partsOf(file, shardBytes)) {
    const bytes = await store.get(sha256(part))
    if (!bytes || Buffer.compare(bytes, part) !== 0) return false
  }
  return true
}

/** Whether each of these bytes left the origin so many times. */
function isSent(counts: Uint8Array, times: number): boolean {
  return Buffer.compare(counts, Buffer.alloc(counts.byteLength, times)) === 0
}

describe('fetchArtifact', () => {
  it('cuts the file into stored shards, each byte read once, and verifies the whole', async () => {
    expect(await fetchFile()).toEqual({ shards, digest, etag: origin.etag, pinned: false })
    expect(await isStoredWhole()).toBe(true)
    expect(origin.requests).toHaveLength(1)
    expect(isSent(origin.sent, 1)).toBe(true)
    expect(heard).toEqual(shards.map((shard) => ({ shard, etag: origin.etag })))
  })

  it('pins what it saw where the origin publishes no digest, and says so', async () => {
    expect(await fetchFile({ digest: undefined })).toMatchObject({ digest, pinned: true, shards })
  })

  it('needs no request for an empty file', async () => {
    const empty = sha256(new Uint8Array())
    expect(await fetchFile({ sizeBytes: 0, digest: empty })).toMatchObject({ shards: [], digest: empty })
    expect(origin.requests).toHaveLength(0)
  })

  it('resumes behind the last whole shard, wherever of 100 places the transfer breaks', async () => {
    const random = randomFrom(5)
    for (let round = 0; round < 100; round++) {
      await origin.stop()
      origin = await startOrigin(file)
      store = memoryStore('disk')
      const cutAt = random.below(file.byteLength)
      origin.faults.push({ kind: 'cut', afterBytes: cutAt })
      expect(await fetchFile()).toMatchObject({ shards, digest })
      const [, second] = origin.requests
      const resumedAt = Number(/^bytes=(\d+)-/.exec(second!.range ?? 'bytes=0-')![1])
      // Bytes on their way are lost with the connection, so it may resume before the cut, but only at a shard.
      expect(resumedAt % shardBytes).toBe(0)
      expect(resumedAt).toBeLessThanOrEqual(cutAt)
      expect(second!.ifRange).toBe(resumedAt > 0 ? origin.etag : undefined)
      expect(isSent(origin.sent.subarray(0, resumedAt), 1)).toBe(true)
      expect(origin.requests).toHaveLength(2)
    }
    expect(await isStoredWhole()).toBe(true)
  })

  it('survives a connection that breaks a hundred times while each brings a shard', async () => {
    const small = 2_048
    for (let cut = 0; cut < 100; cut++) origin.faults.push({ kind: 'cut', afterBytes: small + 4_096 })
    expect(await fetchFile({ shardBytes: small })).toMatchObject({ digest })
    expect(origin.requests.length).toBeGreaterThan(40)
  })

  it('never asks the origin again for a shard that an earlier call verified', async () => {
    const random = randomFrom(6)
    for (let round = 0; round < 20; round++) {
      await origin.stop()
      origin = await startOrigin(file)
      store = memoryStore('disk')
      heard = []
      origin.faults.push({ kind: 'cut', afterBytes: random.below(file.byteLength) })
      await expect(fetchFile({ attempts: 1 })).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' })
      const known = heard.map(({ shard }) => shard)
      const doneBytes = known.length * shardBytes
      const etag = heard[0]?.etag
      origin.sent.fill(0)
      expect(await fetchFile({ known, etag })).toMatchObject({ shards, digest })
      expect(isSent(origin.sent.subarray(0, doneBytes), 0)).toBe(true)
      expect(isSent(origin.sent.subarray(doneBytes), 1)).toBe(true)
    }
  })

  it('fetches only the gaps where the store lost known shards or has them corrupt', async () => {
    await fetchFile()
    await store.delete(shards[2]!.digest)
    await store.delete(shards[3]!.digest)
    await store.put(shards[7]!.digest, new Uint8Array(shardBytes))
    origin.sent.fill(0)
    origin.requests.length = 0
    heard = []
    expect(await fetchFile({ known: shards, etag: origin.etag })).toMatchObject({ shards, digest })
    expect(await isStoredWhole()).toBe(true)
    const sentShards = partsOf(origin.sent, shardBytes).flatMap((part, at) =>
      part.some((count) => count > 0) ? [at] : [],
    )
    expect(sentShards).toEqual([2, 3, 7])
    expect(origin.requests.map(({ range }) => range)).toEqual([
      `bytes=${2 * shardBytes}-${4 * shardBytes - 1}`,
      `bytes=${7 * shardBytes}-${8 * shardBytes - 1}`,
    ])
    expect(heard).toEqual([])
  })

  it('works with a server that knows no ranges', async () => {
    for (let request = 0; request < 3; request++) origin.faults.push({ kind: 'cut', afterBytes: 3 * shardBytes + 9 })
    origin.faults.splice(1, 0, { kind: 'ignore-range' })
    origin.faults.length = 2
    expect(await fetchFile()).toMatchObject({ shards, digest })
    expect(origin.requests).toHaveLength(2)
  })

  it('waits as long as the origin asks, or longer from try to try', async () => {
    origin.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '7' } })
    origin.faults.push({ kind: 'status', status: 500 }, { kind: 'status', status: 503 })
    expect(await fetchFile()).toMatchObject({ digest })
    expect(waits).toEqual([7_000, 1_000, 5_000])
  })

  it('gives up after its attempts and says what the origin did', async () => {
    for (let request = 0; request < 5; request++) origin.faults.push({ kind: 'status', status: 500 })
    const failed = fetchFile()
    await expect(failed).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE', retryable: true })
    await expect(failed).rejects.toThrow(/^The origin failed on http:\/\/127\.0\.0\.1:\d+\/model\.onnx \(500\)\.$/)
    expect(waits).toEqual([500, 1_000, 2_000, 4_000])
  })

  it('does not wait where the origin asks for more patience than is sensible', async () => {
    origin.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '86400' } })
    await expect(fetchFile()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 86_400 })
    expect(waits).toEqual([])
  })

  it.each([
    [401, 'PERMISSION_DENIED', 'it may need a token'],
    [403, 'PERMISSION_DENIED', 'it may need a token'],
    [404, 'RESOURCE_DOES_NOT_EXIST', 'The origin has no http'],
    [410, 'RESOURCE_DOES_NOT_EXIST', '(410)'],
    [418, 'INTERNAL_ERROR', 'answered 418'],
  ])('is final at once where the origin answers %i', async (status, code, text) => {
    origin.faults.push({ kind: 'status', status })
    const failed = fetchFile()
    await expect(failed).rejects.toMatchObject({ code, retryable: false })
    await expect(failed).rejects.toThrow(text)
    expect(origin.requests).toHaveLength(1)
  })

  it('says how long the file really is where a resumed read is out of range (416)', async () => {
    origin.faults.push({ kind: 'cut', afterBytes: 5 * shardBytes + 1 })
    origin.faults.push({ kind: 'status', status: 416, headers: { 'content-range': 'bytes */1000' } })
    const failed = fetchFile()
    await expect(failed).rejects.toMatchObject({ code: 'DATA_LOSS' })
    await expect(failed).rejects.toThrow('has 1000 bytes at the origin')
    expect(await store.has(shards[0]!.digest)).toBe(false)
  })

  it('goes on where the origin falls silent', async () => {
    origin.faults.push({ kind: 'stall', afterBytes: 3 * shardBytes })
    let isSilent = false
    const onShard = (shard: Shard) => {
      isSilent = shard.digest === shards[2]!.digest
    }
    const watching: Sleep = async (ms, signal) => {
      if (!isSilent) return sleep(ms, signal)
      isSilent = false
    }
    expect(await fetchFile({ sleep: watching, onShard })).toMatchObject({ shards, digest })
    expect(origin.requests).toHaveLength(2)
    expect(origin.requests[1]!.range).toBe(`bytes=${3 * shardBytes}-${file.byteLength - 1}`)
  })

  it('names the silence when the origin never speaks again', async () => {
    for (let request = 0; request < 2; request++) origin.faults.push({ kind: 'stall', afterBytes: 10 })
    const impatient: Sleep = async () => {}
    const failed = fetchFile({ sleep: impatient, attempts: 2 })
    await expect(failed).rejects.toThrow(/sent nothing for 77\.777 s/)
  })

  it('resumes a body that ends early without having said its length', async () => {
    origin.faults.push({ kind: 'short', byBytes: 3 * shardBytes })
    expect(await fetchFile()).toMatchObject({ shards, digest })
    expect(origin.requests).toHaveLength(2)
  })

  it('refuses a body that is longer than the file', async () => {
    origin.faults.push({ kind: 'longer', byBytes: 1 })
    const failed = fetchFile()
    await expect(failed).rejects.toMatchObject({ code: 'DATA_LOSS' })
    await expect(failed).rejects.toThrow(`has more than ${file.byteLength} bytes at the origin`)
  })

  it.each([-1, 1])('refuses a file whose declared length is off by %i before reading it', async (difference) => {
    const failed = fetchFile({ sizeBytes: file.byteLength + difference })
    await expect(failed).rejects.toThrow(
      `has ${file.byteLength} bytes at the origin, not ${file.byteLength + difference}`,
    )
    expect(heard).toEqual([])
  })

  it('deletes what it wrote, and only that, when the whole is not what its digest says', async () => {
    const wrong = sha256(Uint8Array.of(1))
    await store.put(shards[4]!.digest, file.subarray(4 * shardBytes, 5 * shardBytes))
    const failed = fetchFile({ digest: wrong })
    await expect(failed).rejects.toMatchObject({ code: 'DATA_LOSS', retryable: false })
    await expect(failed).rejects.toThrow(`is ${digest}, not ${wrong}`)
    const left = await Promise.all(shards.map(async (shard) => ((await store.has(shard.digest)) ? [shard] : [])))
    expect(left.flat()).toEqual([shards[4]])
  })

  it.each([
    ['a server with ranges', undefined],
    ['a server without', { kind: 'ignore-range' } as const],
  ])('notices a file that changes between two requests to %s', async (_, fault) => {
    origin.faults.push({ kind: 'cut', afterBytes: 5 * shardBytes })
    if (fault) origin.faults.push(fault)
    const changing = async (shard: Shard) => {
      heard.push({ shard, etag: undefined })
      origin.etag = '"other"'
    }
    const failed = fetchFile({ onShard: changing })
    await expect(failed).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT', retryable: false })
    await expect(failed).rejects.toThrow('its tag was')
    expect(await store.has(shards[0]!.digest)).toBe(false)
  })

  it('notices known shards that the origin no longer has, where it sends no tags', async () => {
    const old = randomFrom(99).bytes(file.byteLength)
    origin.etag = undefined
    const failed = fetchFile({ known: shardsOfBytes(old, shardBytes) })
    await expect(failed).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' })
    await expect(failed).rejects.toThrow(`are ${shards[0]!.digest}`)
  })

  it('sends a weak tag to no server, and still compares it', async () => {
    origin.etag = 'W/"weak"'
    origin.faults.push({ kind: 'cut', afterBytes: 5 * shardBytes })
    expect(await fetchFile()).toMatchObject({ digest, etag: 'W/"weak"' })
    expect(origin.requests[1]!.ifRange).toBeUndefined()
  })

  it('sends its headers to their own host and to no other', async () => {
    const other = await startOrigin(file)
    try {
      origin.faults.push({ kind: 'redirect', to: other.url })
      await fetchFile({ headers: { authorization: 'Bearer secret' } })
      expect(origin.requests[0]!.headers.authorization).toBe('Bearer secret')
      expect(other.requests).toHaveLength(1)
      expect(other.requests[0]!.headers.authorization).toBeUndefined()
    } finally {
      await other.stop()
    }
  })

  it('follows redirects to a bounded number and never to another scheme', async () => {
    for (let hop = 0; hop < 6; hop++) origin.faults.push({ kind: 'redirect', to: '/again' })
    await expect(fetchFile()).rejects.toThrow('redirects more than 5 times')
    origin.faults = [{ kind: 'redirect', to: 'file:///etc/passwd' }]
    await expect(fetchFile()).rejects.toThrow('redirects to file:, which is refused')
  })

  it('says nothing of tokens and signed queries in its errors', async () => {
    origin.faults.push({ kind: 'status', status: 403 })
    const error: Error = await fetchFile({ headers: { authorization: 'Bearer secret' } }).catch((failure) => failure)
    expect(JSON.stringify(error) + error.message).not.toMatch(/secret|hidden/)
  })

  it('ends with its caller’s reason, keeps what is stored and does not try again', async () => {
    const caller = new AbortController()
    const onShard = (shard: Shard) => {
      if (shard.digest === shards[3]!.digest) caller.abort(new Error('shutting down'))
    }
    await expect(fetchFile({ signal: caller.signal, onShard })).rejects.toThrow('shutting down')
    expect(await store.has(shards[3]!.digest)).toBe(true)
    expect(waits).toEqual([])
  })

  it('fails with what its store says and reads no further', async () => {
    let puts = 0
    const full: BlobStore = {
      ...store,
      put: async () => {
        if (++puts === 3) throw new Error('disk full')
      },
    }
    await expect(fetchFile({ store: full })).rejects.toThrow('disk full')
    expect(origin.requests).toHaveLength(1)
  })

  it('has one shard in memory, whatever the origin’s pace', async () => {
    let open = 0
    let most = 0
    const counted: BlobStore = {
      ...store,
      async put(name, bytes) {
        most = Math.max(most, ++open)
        expect(bytes.byteLength).toBeLessThanOrEqual(shardBytes)
        await new Promise((resolve) => setImmediate(resolve))
        await store.put(name, bytes)
        open -= 1
      },
    }
    await fetchFile({ store: counted })
    expect(most).toBe(1)
  })

  it('tells its progress, and counts what was there before as done but not as speed', async () => {
    const seen: Progress[] = []
    await fetchFile()
    await store.delete(shards[10]!.digest)
    let clockMs = 0
    const now = () => {
      clockMs += 1_000
      return clockMs
    }
    await fetchFile({ known: shards, path: 'model.onnx', now, onProgress: (progress) => seen.push(progress) })
    const total = { artifact: 'model.onnx', shards: 11, bytes: file.byteLength }
    expect(seen[0]).toEqual({ ...total, shardsDone: 1, bytesDone: shardBytes, tier: 'disk', bytesPerSecond: 0 })
    const last = { shardsDone: 11, bytesDone: file.byteLength, tier: 'origin', bytesPerSecond: Math.round(12_345 / 11) }
    expect(seen.at(-1)).toEqual({ ...total, ...last })
  })

  it('reads known shards from the store once each', async () => {
    await fetchFile()
    const counted = countedStore(store)
    await fetchFile({ known: shards, store: counted })
    expect(counted.reads).toEqual(shards.map((shard) => shard.digest))
    expect(origin.requests).toHaveLength(1)
  })
})
