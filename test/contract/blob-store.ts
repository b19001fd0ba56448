/** The one suite that every `BlobStore` passes. A store that cannot be written says why and is handed its blobs. */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { BlobStore } from '#contracts/blob-store.ts'
import { limits } from '#contracts/limits.ts'
import type { Digest } from '#contracts/manifest.ts'
import { expectEqual } from '../support/expect-equal.ts'

export interface ReadOnlyStore {
  /** Why `put` and `delete` are refused. */
  readOnly: string
  /** Resolves to a store that holds exactly these. */
  holding(blobs: readonly Uint8Array[]): Promise<BlobStore>
}

const large = new Uint8Array(limits.maxShardBytes).map((_, at) => at % 241)

export function blobStoreContract(open: (() => Promise<BlobStore>) | ReadOnlyStore): void {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, at) => at % 251)
  const digest = digestOfBytes(bytes)
  const absent: Digest = `sha256:${'cd'.repeat(32)}`
  const holding = typeof open === 'function' ? filled(open) : open.holding

  describe('reading', () => {
    it('gives back what is stored', async () => {
      const store = await holding([bytes])
      expectEqual(await store.get(digest), bytes)
      expect(await store.has(digest)).toBe(true)
    })

    it('answers null for what it does not hold', async () => {
      const store = await holding([bytes])
      expect(await store.get(absent)).toBeNull()
      expect(await store.has(absent)).toBe(false)
    })

    it('holds an empty blob', async () => {
      const store = await holding([new Uint8Array()])
      expect(await store.get(digestOfBytes(new Uint8Array()))).toEqual(new Uint8Array())
    })

    it('holds the largest shard there may be', async () => {
      const store = await holding([large])
      expect(Buffer.compare((await store.get(digestOfBytes(large)))!, large)).toBe(0)
    })

    it('answers many readers at once', async () => {
      const blobs = Array.from({ length: 20 }, (_, at) => new Uint8Array(1_000 + at).fill(at))
      const store = await holding(blobs)
      const read = await Promise.all([...blobs, ...blobs].map((blob) => store.get(digestOfBytes(blob))))
      expectEqual(read, [...blobs, ...blobs])
    })

    it('does not read for somebody who has left', async () => {
      const store = await holding([bytes])
      const left = new Error('left')
      await expect(store.get(digest, { signal: AbortSignal.abort(left) })).rejects.toThrow('left')
    })

    it('gives bytes that are the caller’s to change', async () => {
      const store = await holding([bytes])
      const read = await store.get(digest)
      read?.fill(1)
      expectEqual(await store.get(digest), bytes)
    })

    it('has a name', async () => {
      expect((await holding([])).name).toMatch(/^[a-z][a-z0-9-]*$/)
    })
  })

  if (typeof open !== 'function') {
    it(`refuses to be written: ${open.readOnly}`, async () => {
      const store = await open.holding([bytes])
      await expect(store.put(absent, bytes)).rejects.toMatchObject({ code: 'NOT_IMPLEMENTED' })
      await expect(store.delete(digest)).rejects.toMatchObject({ code: 'NOT_IMPLEMENTED' })
      expectEqual(await store.get(digest), bytes)
    })
    return
  }

  describe('writing', () => {
    it('takes the same blob twice', async () => {
      const store = await open()
      await store.put(digest, bytes)
      await store.put(digest, bytes)
      expectEqual(await store.get(digest), bytes)
    })

    it('takes the same blob from two writers at once', async () => {
      const store = await open()
      await Promise.all([store.put(digest, bytes), store.put(digest, bytes), store.put(digest, bytes)])
      expectEqual(await store.get(digest), bytes)
    })

    it('takes a part of a larger buffer as that part', async () => {
      const store = await open()
      const part = bytes.subarray(100, 300)
      await store.put(digestOfBytes(part), part)
      expect(await store.get(digestOfBytes(part))).toEqual(part.slice())
    })

    it('forgets what was deleted, and does not mind deleting nothing', async () => {
      const store = await open()
      await store.put(digest, bytes)
      await store.delete(digest)
      await store.delete(digest)
      expect(await store.get(digest)).toBeNull()
      expect(await store.has(digest)).toBe(false)
    })

    it('is not changed by what callers do with their bytes', async () => {
      const store = await open()
      const mine = bytes.slice()
      await store.put(digest, mine)
      mine.fill(0)
      expectEqual(await store.get(digest), bytes)
    })
  })
}

function filled(open: () => Promise<BlobStore>): ReadOnlyStore['holding'] {
  return async (blobs) => {
    const store = await open()
    for (const blob of blobs) await store.put(digestOfBytes(blob), blob)
    return store
  }
}

function digestOfBytes(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
