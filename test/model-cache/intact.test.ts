import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { digestOf } from '#model-cache/digest.ts'
import { isIntact } from '#model-cache/intact.ts'
import { findShard } from '#model-cache/read-shard.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'

const fresh = (sizeBytes: number) => new Uint8Array(randomBytes(sizeBytes))

describe('bytes under a digest', () => {
  it.each([0, 1, 15, 16, 17, 4_096, 100_003])(
    'are intact whenever they are what it names: %d bytes',
    async (sizeBytes) => {
      const bytes = fresh(sizeBytes)
      const digest = await digestOf(bytes)
      for (let read = 0; read < 3; read++) expect(await isIntact(digest, bytes)).toBe(true)
    },
  )

  it.each([false, true])('are refused with any one bit changed (met before: %s)', async (isMet) => {
    const bytes = fresh(1_000)
    const digest = await digestOf(bytes)
    if (isMet) expect(await isIntact(digest, bytes)).toBe(true)
    for (let at = 0; at < bytes.byteLength; at++) {
      const damaged = bytes.slice()
      damaged[at]! ^= 1 << (at % 8)
      expect(await isIntact(digest, damaged)).toBe(false)
    }
    expect(await isIntact(digest, bytes)).toBe(true)
  })

  it('are refused when they are cut, longer, empty or somebody else’s', async () => {
    const [one, other] = [fresh(5_000), fresh(5_000)]
    const digest = await digestOf(one)
    await isIntact(digest, one)
    await isIntact(await digestOf(other), other)
    for (const wrong of [one.subarray(0, 4_999), new Uint8Array([...one, 0]), new Uint8Array(), other])
      expect(await isIntact(digest, wrong)).toBe(false)
  })

  it('are the same for readers at once', async () => {
    const bytes = fresh(50_000)
    const digest = await digestOf(bytes)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => isIntact(digest, at % 2 ? bytes : fresh(9))),
    )
    expect(answers).toEqual(Array.from({ length: 20 }, (_, at) => at % 2 === 1))
  })
})

it('a tier that begins to lie after a hundred true reads is found out, named and healed', async () => {
  const bytes = fresh(10_000)
  const shard = { digest: await digestOf(bytes), sizeBytes: bytes.byteLength }
  const [near, far] = [memoryStore('near'), memoryStore('far')]
  await far.put(shard.digest, bytes)
  for (let read = 0; read < 100; read++) expect((await findShard(shard, { tiers: [near, far] })).bytes).toEqual(bytes)
  const damaged = bytes.slice()
  damaged[7_777]! ^= 1
  await near.put(shard.digest, damaged)
  expect((await findShard(shard, { tiers: [near] }).catch((error: Error) => error.message)) as string).toContain(
    `near: corrupt, 10000 bytes of ${await digestOf(damaged)}`,
  )
  expect((await findShard(shard, { tiers: [near, far] })).tier).toBe('far')
  expect((await findShard(shard, { tiers: [near] })).bytes).toEqual(bytes)
})
