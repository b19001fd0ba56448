import { describe, expect, it } from 'vitest'
import type { Artifact, Manifest } from '#contracts/manifest.ts'
import {
  missingAfter,
  parseManifest,
  readManifest,
  shardsOf,
  verifyArtifact,
  writeManifest,
} from '#model-cache/manifest.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { artifactOf, newHash, partsOf, randomFrom, sha256 } from './support/bytes.ts'

const shardBytes = 1_000
const file = randomFrom(31).bytes(10_500)
const artifact = artifactOf(file, shardBytes)
const manifest: Manifest = { version: 1, artifacts: [artifact] }
const withArtifact = (changes: Partial<Artifact>) => ({ version: 1, artifacts: [{ ...artifact, ...changes }] })

describe('a manifest', () => {
  it('is read back as it was written, under a name that does not depend on the order of its keys', async () => {
    const store = memoryStore()
    const digest = await writeManifest(manifest, store)
    const { path, ...rest } = artifact
    expect(await writeManifest({ artifacts: [{ ...rest, path }], version: 1 }, store)).toBe(digest)
    expect(await readManifest(digest, [store])).toEqual(manifest)
  })

  it('is healed from the next tier', async () => {
    const [near, far] = [memoryStore('near'), memoryStore('far')]
    const digest = await writeManifest(manifest, far)
    await near.put(digest, new TextEncoder().encode('{}'))
    expect(await readManifest(digest, [near, far])).toEqual(manifest)
  })

  it.each(['not json', '{}', '{"version":1,"artifacts":[]}'])(
    'is refused by name where its blob is %s',
    async (text) => {
      const store = memoryStore()
      const bytes = new TextEncoder().encode(text)
      await store.put(sha256(bytes), bytes)
      await expect(readManifest(sha256(bytes), [store])).rejects.toMatchObject({ status: 400 })
    },
  )

  it.each(['../secret', '/etc/passwd', 'a/../../b', 'a//b', './a', 'a\\..\\b', 'a/\u0000', '..', '', 'x'.repeat(256)])(
    'is refused with the path %j',
    (path) => {
      expect(() => parseManifest(withArtifact({ path }))).toThrow(/^manifest\.artifacts\[0\]\.path: /)
    },
  )

  it('is refused where it lists a path twice', () => {
    expect(() => parseManifest({ version: 1, artifacts: [artifact, artifact] })).toThrow('is listed twice')
  })

  it('is refused where sizes do not add up', () => {
    expect(() => parseManifest(withArtifact({ sizeBytes: 10_501 }))).toThrow(
      'does not equal the 10500 bytes of its shards',
    )
  })

  it.each([-1, 0.5, 2 ** 60, Number.NaN])('is refused with the size %d', (sizeBytes) => {
    expect(() => parseManifest(withArtifact({ sizeBytes }))).toThrow(/sizeBytes/)
  })

  it('is refused where an unread file is absurdly large', () => {
    const origin = { repository: 'owner/name', revision: 'a'.repeat(40), path: 'model.onnx' }
    const unread = { path: 'model.onnx', sizeBytes: 2 ** 50, origin }
    expect(() => parseManifest({ version: 1, artifacts: [unread] })).toThrow(`${2 ** 50} bytes in all are more than`)
  })

  it('is refused where a shard is larger than a shard may be', () => {
    const shards = [{ digest: sha256(file), sizeBytes: 2 ** 24 }]
    expect(() => parseManifest(withArtifact({ shards, sizeBytes: 2 ** 24 }))).toThrow(/shards\[0\]\.sizeBytes/)
  })

  it('is refused where it has more shards than a manifest may', () => {
    const shards = Array.from({ length: 65_537 }, () => ({ digest: sha256(file), sizeBytes: 1 }))
    expect(() => parseManifest(withArtifact({ shards, sizeBytes: 65_537 }))).toThrow('65537 shards are more than')
  })

  it('is refused where shards are empty though the file is not', () => {
    const shards = [...artifact.shards, { digest: sha256(new Uint8Array()), sizeBytes: 0 }]
    expect(() => parseManifest(withArtifact({ shards }))).toThrow('manifest.artifacts[0].shards[11].sizeBytes')
  })

  it('is refused where one digest has two sizes', () => {
    const [first] = artifact.shards
    const shards = [first!, { ...first!, sizeBytes: 7 }]
    expect(() => parseManifest(withArtifact({ shards, sizeBytes: 1_007 }))).toThrow(
      'has 7 bytes here and 1000 elsewhere',
    )
  })

  it('is refused where the only shard of a file is not the file', () => {
    const shards = [{ digest: sha256(file.subarray(1)), sizeBytes: file.byteLength }]
    expect(() => parseManifest(withArtifact({ shards }))).toThrow('manifest.artifacts[0].digest')
  })
})

describe('verifyArtifact', () => {
  it('detects intact shards that are not the file they are said to be', async () => {
    const store = memoryStore()
    for (const part of partsOf(file, shardBytes)) await store.put(sha256(part), part)
    expect(await verifyArtifact(artifact, { tiers: [store], newHash })).toBe(artifact.digest)
    const shuffled = { ...artifact, shards: [...artifact.shards.slice(0, 10).reverse(), artifact.shards[10]!] }
    const refused = verifyArtifact(shuffled, { tiers: [store], newHash })
    await expect(refused).rejects.toMatchObject({ status: 400 })
    await expect(refused).rejects.toThrow(`not ${artifact.digest}`)
  })
})

describe('two versions', () => {
  const large = randomFrom(32).bytes(100 * shardBytes)
  const changed = large.slice()
  changed.set(randomFrom(33).bytes(10 * shardBytes), 37 * shardBytes)
  const [first, second] = [large, changed].map((bytes) => ({
    version: 1 as const,
    artifacts: [artifactOf(bytes, shardBytes)],
  }))

  it('move only the tenth that changed in place', () => {
    expect(missingAfter(first!, second!)).toEqual(second!.artifacts[0]!.shards.slice(37, 47))
    expect(missingAfter(first!, first!)).toEqual([])
  })

  it('move two shards more at most where the change does not begin at a shard', () => {
    const shifted = large.slice()
    shifted.set(randomFrom(34).bytes(10 * shardBytes), 37 * shardBytes + 123)
    const third = { version: 1 as const, artifacts: [artifactOf(shifted, shardBytes)] }
    expect(missingAfter(first!, third)).toHaveLength(11)
  })

  it('keep what they share once', () => {
    expect(shardsOf([first!, second!]).size).toBe(110)
  })

  it('need nothing for artifacts that were never read', () => {
    const { shards: _, ...unread } = artifact
    expect(shardsOf([{ version: 1, artifacts: [unread] }]).size).toBe(0)
  })
})
