import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readShard } from '#model-cache/read-shard.ts'
import { type HubStoreOptions, hubStore } from '#model-cache/stores/hub.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { randomFrom, shardsOfBytes } from './support/bytes.ts'
import { type OriginServer, startOrigin } from './support/origin-server.ts'

const shardBytes = 20_000
const file = randomFrom(21).bytes(5 * shardBytes)
const shards = shardsOfBytes(file, shardBytes)
const third = shards[2]!
const thirdBytes = file.subarray(2 * shardBytes, 3 * shardBytes)

let origin: OriginServer
beforeEach(async () => {
  origin = await startOrigin(file)
})
afterEach(() => origin.stop())

const isIdle = (ms: number) => ms === 30_000
function openHub(changes: Partial<HubStoreOptions> = {}) {
  const sleep = (ms: number) => (isIdle(ms) ? new Promise<void>(() => {}) : Promise.resolve())
  const etag = origin.etag
  const locate = (digest: string) => {
    const index = shards.findIndex((shard) => shard.digest === digest)
    return index < 0 ? null : { url: origin.url, offset: index * shardBytes, sizeBytes: shardBytes, etag }
  }
  return hubStore({ fetch, locate, sleep, ...changes })
}

describe('the hub store', () => {
  it('asks for the range of one shard, on the condition that the file is the same', async () => {
    expect(await openHub().get(third.digest)).toEqual(thirdBytes)
    expect(origin.requests).toMatchObject([{ range: 'bytes=40000-59999', ifRange: origin.etag }])
  })

  it('works with a server that knows no ranges', async () => {
    origin.faults.push({ kind: 'ignore-range' })
    expect(await openHub().get(third.digest)).toEqual(thirdBytes)
  })

  it('tries again after failures that may pass', async () => {
    origin.faults.push({ kind: 'status', status: 500 }, { kind: 'cut', afterBytes: 999 }, { kind: 'short', byBytes: 5 })
    expect(await openHub().get(third.digest)).toEqual(thirdBytes)
    expect(origin.requests).toHaveLength(4)
  })

  it('refuses a file that has changed, by its tag', async () => {
    const hub = openHub()
    origin.etag = '"other"'
    await expect(hub.get(third.digest)).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' })
  })

  it('as the last tier, is final when it lies', async () => {
    origin.file = file.slice().fill(0, 2 * shardBytes + 5, 2 * shardBytes + 6)
    const read = readShard(third, { tiers: [memoryStore(), openHub()] })
    await expect(read).rejects.toMatchObject({ code: 'DATA_LOSS' })
    await expect(read).rejects.toThrow(/memory: absent; hub: corrupt/)
  })

  it('sends the token to the hub and not to where it redirects', async () => {
    const other = await startOrigin(file)
    try {
      origin.faults.push({ kind: 'redirect', to: other.url })
      const hub = openHub({ headers: { authorization: 'Bearer secret' } })
      expect(await hub.get(third.digest).catch((error: Error) => error.message)).toEqual(thirdBytes)
      expect(origin.requests[0]!.headers.authorization).toBe('Bearer secret')
      expect(other.requests[0]!.headers.authorization).toBeUndefined()
    } finally {
      await other.stop()
    }
  })
})
