/** The one suite that every `BlobStore` passes. */
import { expect, it } from 'vitest'
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'

export function blobStoreContract(open: () => Promise<BlobStore>): void {
  const digest: Digest = `sha256:${'ab'.repeat(32)}`
  const bytes = Uint8Array.from({ length: 70_000 }, (_, at) => at % 251)

  it('gives back what was put', async () => {
    const store = await open()
    await store.put(digest, bytes)
    expect(await store.get(digest)).toEqual(bytes)
    expect(await store.has(digest)).toBe(true)
  })

  it('answers null for what it does not hold', async () => {
    const store = await open()
    const absent: Digest = `sha256:${'cd'.repeat(32)}`
    expect(await store.get(absent)).toBeNull()
    expect(await store.has(absent)).toBe(false)
  })

  it('takes the same blob twice', async () => {
    const store = await open()
    await store.put(digest, bytes)
    await store.put(digest, bytes)
    expect(await store.get(digest)).toEqual(bytes)
  })

  it('holds an empty blob', async () => {
    const store = await open()
    await store.put(digest, new Uint8Array())
    expect(await store.get(digest)).toEqual(new Uint8Array())
  })

  it('forgets what was deleted, and does not mind deleting nothing', async () => {
    const store = await open()
    await store.put(digest, bytes)
    await store.delete(digest)
    await store.delete(digest)
    expect(await store.get(digest)).toBeNull()
  })

  it('is not changed by what callers do with their bytes', async () => {
    const store = await open()
    const mine = bytes.slice()
    await store.put(digest, mine)
    mine.fill(0)
    const read = await store.get(digest)
    read?.fill(1)
    expect(await store.get(digest)).toEqual(bytes)
  })
}
