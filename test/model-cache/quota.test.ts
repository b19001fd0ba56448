import { beforeEach, describe, expect, it } from 'vitest'
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'
import { boundedStore } from '#model-cache/quota.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { memoryUsageIndex, type UsageIndex } from '#model-cache/usage-index.ts'
import { randomFrom, sha256 } from './support/bytes.ts'

const blobs = Array.from({ length: 8 }, (_, at) => new Uint8Array(100).fill(at))
const digests = blobs.map(sha256)

describe('boundedStore', () => {
  let inner: BlobStore
  let index: UsageIndex
  let pinned: Set<Digest>
  let onlyCopies: Set<Digest>
  let store: BlobStore

  beforeEach(() => {
    inner = memoryStore()
    index = memoryUsageIndex()
    pinned = new Set()
    onlyCopies = new Set()
    store = boundedStore(inner, index, {
      quotaBytes: 350,
      isPinned: (digest) => pinned.has(digest),
      hasOrigin: (digest) => !onlyCopies.has(digest),
    })
  })

  const put = (at: number) => store.put(digests[at]!, blobs[at]!)
  const held = async () => {
    const present = await Promise.all(digests.map((digest) => inner.has(digest)))
    return [...present.keys()].filter((at) => present[at])
  }

  it('evicts what was used least recently', async () => {
    for (const at of [0, 1, 2]) await put(at)
    await store.get(digests[0]!)
    await put(3)
    expect(await held()).toEqual([0, 2, 3])
    expect(await index.totalBytes()).toBe(300)
  })

  it('evicts neither what is mounted nor an only copy', async () => {
    for (const at of [0, 1, 2]) await put(at)
    pinned.add(digests[0]!)
    onlyCopies.add(digests[1]!)
    await put(3)
    await put(4)
    expect(await held()).toEqual([0, 1, 4])
  })

  it('refuses, with the numbers and without evicting anything, what cannot fit', async () => {
    for (const at of [0, 1, 2]) await put(at)
    pinned.add(digests[0]!).add(digests[1]!)
    const large = new Uint8Array(200)
    const refused = store.put(sha256(large), large)
    await expect(refused).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', status: 507, retryable: false })
    await expect(refused).rejects.toThrow('holds 300 of 350 bytes; 200 more do not fit')
    expect(await held()).toEqual([0, 1, 2])
    expect(await inner.has(sha256(large))).toBe(false)
  })

  it('counts a blob once however often it is put', async () => {
    for (let round = 0; round < 5; round++) await put(0)
    await Promise.all([put(1), put(1), put(1)])
    expect(await index.totalBytes()).toBe(200)
  })

  it('gives room back for what was deleted and for what could not be written', async () => {
    await put(0)
    await store.delete(digests[0]!)
    const failing = boundedStore({ ...inner, put: () => Promise.reject(new Error('full')) }, index, { quotaBytes: 350 })
    await expect(failing.put(digests[1]!, blobs[1]!)).rejects.toThrow('full')
    expect(await index.totalBytes()).toBe(0)
  })

  it('follows a store that lost a blob or got one behind its back', async () => {
    await put(0)
    await inner.delete(digests[0]!)
    await inner.put(digests[1]!, blobs[1]!)
    expect(await store.get(digests[0]!)).toBeNull()
    await store.get(digests[1]!)
    expect(await index.has(digests[0]!)).toBe(false)
    expect(await index.has(digests[1]!)).toBe(true)
  })

  it('never holds more than its quota, whatever writers do at once', async () => {
    const random = randomFrom(3)
    let most = 0
    let bytes = 0
    const watched = memoryStore()
    const sizes = new Map<Digest, number>()
    const counting: BlobStore = {
      ...watched,
      async put(digest, blob) {
        bytes += blob.byteLength - (sizes.get(digest) ?? 0)
        sizes.set(digest, blob.byteLength)
        most = Math.max(most, bytes)
        await watched.put(digest, blob)
      },
      async delete(digest) {
        await watched.delete(digest)
        bytes -= sizes.get(digest) ?? 0
        sizes.delete(digest)
      },
    }
    const bounded = boundedStore(counting, memoryUsageIndex(), { quotaBytes: 5_000 })
    for (let round = 0; round < 60; round++) {
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          const blob = new Uint8Array(1 + random.below(900)).fill(random.below(256))
          await bounded.put(sha256(blob), blob)
          if (random.below(3) === 0) await bounded.get(sha256(blob))
        }),
      )
    }
    expect(most).toBeLessThanOrEqual(5_000)
    expect(most).toBeGreaterThan(3_000)
  })
})
