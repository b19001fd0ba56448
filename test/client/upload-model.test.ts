import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { manifestSchema } from '#contracts/manifest.ts'
import { readArtifact } from '#model-cache/read-artifact.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import type { BlobReceiver } from '#src/client/shard-sender.ts'
import { localFile } from '#src/client/sources/local-file.ts'
import { uploadModel } from '#src/client/upload-model.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-upload-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function file(path: string, bytes: Uint8Array) {
  const location = join(folder, path)
  await writeFile(location, bytes)
  return localFile({ path, location, sizeBytes: bytes.byteLength })
}

/** A server in memory that counts what is sent, and refuses after so many shards. */
function server({ refuseAfter = Number.POSITIVE_INFINITY } = {}) {
  const store = memoryStore()
  const seen = { sent: 0, mostAtOnce: 0, refuseAfter }
  let atOnce = 0
  const client: BlobReceiver = {
    async missingBlobs(digests) {
      const there = await Promise.all(digests.map((digest) => store.has(digest)))
      return digests.filter((_, index) => !there[index])
    },
    async putBlob(digest, bytes) {
      atOnce += 1
      seen.mostAtOnce = Math.max(seen.mostAtOnce, atOnce)
      await new Promise((resolve) => setImmediate(resolve))
      atOnce -= 1
      if (seen.sent >= seen.refuseAfter) throw new Error('refused')
      seen.sent += 1
      await store.put(digest, bytes)
    },
  }
  return { store, seen, client }
}

/** Bytes that differ from shard to shard. */
function patterned(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  for (let at = 0; at < sizeBytes; at++) bytes[at] = (at + Math.floor(at / limits.shardBytes)) % 251
  return bytes
}

const sizes = [0, 1, limits.shardBytes - 1, limits.shardBytes, limits.shardBytes + 1, 5 * limits.shardBytes + 7]

describe('uploadModel', () => {
  it('makes a valid manifest from which every file reads back as it was, whatever its size', async () => {
    const contents = sizes.map(patterned)
    const files = await Promise.all(contents.map((bytes, index) => file(`f${index}`, bytes)))
    const { client, store } = server()
    const { manifest, sizeBytes } = await uploadModel(files, { client })
    expect(manifestSchema.safeParse(manifest).success).toBe(true)
    expect(sizeBytes).toBe(sizes.reduce((sum, size) => sum + size))
    for (const [index, artifact] of manifest.artifacts.entries()) {
      expect(artifact.digest).toBe(`sha256:${createHash('sha256').update(contents[index]!).digest('hex')}`)
      expect(Buffer.compare(await readArtifact(artifact, [store]), contents[index]!)).toBe(0)
    }
  })

  it('sends a shard once, however often it occurs, and nothing that is there', async () => {
    const same = new Uint8Array(3 * limits.shardBytes)
    const files = [await file('zeros', same), await file('again', same)]
    const { client, seen } = server()
    const first = await uploadModel(files, { client })
    expect([seen.sent, first.sentBytes]).toEqual([1, limits.shardBytes])
    const second = await uploadModel(files, { client })
    expect([seen.sent, second.sentBytes]).toEqual([1, 0])
    expect(second.manifest).toEqual(first.manifest)
  })

  it('sends at most four shards at once', async () => {
    const { client, seen } = server()
    await uploadModel([await file('wide', patterned(20 * limits.shardBytes))], { client })
    expect(seen.mostAtOnce).toBe(4)
  })

  it('stops at the first refusal and continues from there when it is run again', async () => {
    const files = [await file('broken', patterned(20 * limits.shardBytes))]
    const { client, seen } = server({ refuseAfter: 6 })
    await expect(uploadModel(files, { client })).rejects.toThrow('refused')
    expect(seen.sent).toBe(6)
    seen.refuseAfter = Number.POSITIVE_INFINITY
    expect((await uploadModel(files, { client })).sentBytes).toBe(14 * limits.shardBytes)
  })

  it('refuses a file that is not what it was said to be, naming both digests', async () => {
    const honest = await file('honest', patterned(limits.shardBytes + 1))
    const digest = `sha256:${'0'.repeat(64)}` as const
    await expect(uploadModel([{ ...honest, digest }], { client: server().client })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: expect.stringMatching(new RegExp(`^honest should be ${digest} and is sha256:[0-9a-f]{64}`)),
    })
  })

  it('refuses a file that has more or fewer bytes than its source listed', async () => {
    const honest = await file('sized', patterned(100))
    const send = (sizeBytes: number) => uploadModel([{ ...honest, sizeBytes }], { client: server().client })
    await expect(send(99)).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
    await expect(send(101)).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
  })

  it('sends of a lazy file only where it comes from', async () => {
    const origin = { repository: 'o/n', revision: 'a'.repeat(40), path: 'model.onnx' }
    const { client, seen } = server()
    const lazy = { path: 'model.onnx', sizeBytes: 5, origin, isLazy: true, read: () => never() }
    const { manifest, sentBytes } = await uploadModel([lazy], { client })
    expect(manifest.artifacts).toEqual([{ path: 'model.onnx', sizeBytes: 5, origin }])
    expect(manifestSchema.safeParse(manifest).success).toBe(true)
    expect([sentBytes, seen.sent]).toEqual([0, 0])
  })

  it('reports bytes up to the whole', async () => {
    const told: string[] = []
    await uploadModel([await file('told', patterned(2 * limits.shardBytes))], {
      client: server().client,
      onProgress: ({ stage, doneBytes, totalBytes }) =>
        told.push(`${stage} ${doneBytes / limits.shardBytes} of ${totalBytes / limits.shardBytes}`),
    })
    expect(told).toEqual(['sending 1 of 2', 'sending 2 of 2'])
  })
})

// biome-ignore lint/correctness/useYield: reading it at all is the failure
async function* never(): AsyncGenerator<Uint8Array> {
  throw new Error('it was read')
}
