/** One large file from an origin that misbehaves: what arrives is the file, or the import ends with the reason. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { hubSource } from '#src/client/sources/hub-source.ts'
import { urlSource } from '#src/client/sources/url-source.ts'
import { uploadModel } from '#src/client/upload-model.ts'
import { type HubFaults, memoryFile, startTestHub, type TestHub } from '../support/test-hub.ts'

const sizeBytes = 3 * limits.shardBytes + 12_345
const content = Uint8Array.from({ length: sizeBytes }, (_, at) => (at * 31 + (at >> 12)) % 251)
const path = 'onnx/model.onnx'

let hub: TestHub
let waitsMs: number[]
beforeEach(async () => {
  waitsMs = []
  hub = await startTestHub({ 'test/large': new Map([[path, memoryFile(content)]]) })
})
afterEach(() => hub.stop())

const sleep = async (ms: number): Promise<void> => {
  waitsMs.push(ms)
}
const patience = (idleMs = 30_000) => ({ attempts: 4, idleMs, sleep })

async function importFromHub(faults: HubFaults, idleMs?: number) {
  const source = hubSource({ hub: { url: hub.url }, repository: 'test/large', revision: 'main', ...patience(idleMs) })
  const { files } = await source.open()
  hub.faults = faults
  return upload(files)
}

async function importFromUrl(faults: HubFaults, hasDigest: boolean) {
  const url = new URL(`/test/large/resolve/${hub.commit}/${path}`, hub.url)
  const { files } = await urlSource({ url, hasDigest, ...patience() }).open()
  hub.files.clear()
  hub.faults = faults
  return upload(files)
}

/** Resolves to the bytes of the shards that were stored, joined. */
async function upload(files: Parameters<typeof uploadModel>[0]): Promise<Uint8Array> {
  const store = memoryStore()
  const { manifest } = await uploadModel(files, {
    client: { missingBlobs: async (digests) => digests, putBlob: (digest, bytes) => store.put(digest, bytes.slice()) },
  })
  const shards = manifest.artifacts[0]!.shards!.map(({ digest }) => store.get(digest))
  return Buffer.concat((await Promise.all(shards)).map((shard) => shard!))
}

const isWhole = (bytes: Uint8Array) => Buffer.compare(bytes, content) === 0
const cuts = [0, 1, 65_536, limits.shardBytes - 1, limits.shardBytes, 2 * limits.shardBytes + 77, sizeBytes - 1]

describe('a transfer that breaks off', () => {
  it.each(cuts)('after %i bytes continues there', async (afterBytes) => {
    expect(isWhole(await importFromHub({ cut: { afterBytes, times: 1 } }))).toBe(true)
    expect(hub.files.get(path)).toEqual({ requests: 2, bytes: sizeBytes })
    const { range, ifRange } = hub.requests.at(-1)!
    expect(range).toBe(afterBytes === 0 ? undefined : `bytes=${afterBytes}-${sizeBytes - 1}`)
    expect(ifRange !== undefined).toBe(afterBytes > 0)
  })

  it('again and again continues as long as each try brings something', async () => {
    expect(isWhole(await importFromHub({ cut: { afterBytes: 400_000, times: 7 } }))).toBe(true)
    expect(hub.files.get(path)).toEqual({ requests: 8, bytes: sizeBytes })
  })

  it('without bringing anything is given up', async () => {
    await expect(importFromHub({ cut: { afterBytes: 0, times: 99 } })).rejects.toMatchObject({ retryable: true })
    expect(hub.files.get(path)!.requests).toBe(4)
  })

  it('from a server without ranges starts over and keeps what it has', async () => {
    expect(isWhole(await importFromHub({ noRange: true, cut: { afterBytes: 2_000_000, times: 1 } }))).toBe(true)
    expect(hub.files.get(path)).toEqual({ requests: 2, bytes: sizeBytes + 2_000_000 })
  })

  it('because nothing comes any more continues on another connection', async () => {
    expect(isWhole(await importFromHub({ stall: { afterBytes: 500_000, times: 1 } }, 100))).toBe(true)
    expect(hub.files.get(path)!.requests).toBe(2)
  })

  it('is not continued with a file that was put in its place', async () => {
    const faults = { newEtagEachTime: true, cut: { afterBytes: 500_000, times: 1 } }
    await expect(importFromUrl(faults, true)).rejects.toThrow('changed while it was read')
  })

  it('is continued without a tag only where a digest will tell', async () => {
    const faults = () => ({ noEtag: true, cut: { afterBytes: 500_000, times: 1 } })
    expect(isWhole(await importFromUrl(faults(), true))).toBe(true)
    await expect(importFromUrl(faults(), false)).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
  })
})

describe('an origin', () => {
  it('that asks for patience gets what it asks for', async () => {
    expect(isWhole(await importFromHub({ refuse: { status: 429, times: 1, retryAfter: '7' } }))).toBe(true)
    expect(waitsMs).toEqual([7_000])
  })

  it('that fails for a while is asked again, and for good is not', async () => {
    expect(isWhole(await importFromHub({ refuse: { status: 500, times: 3 } }))).toBe(true)
    await expect(importFromHub({ refuse: { status: 500, times: 99 } })).rejects.toThrow('500')
  })

  it('that sends one wrong byte is refused by the digest, naming both', async () => {
    await expect(importFromHub({ wrongByteAt: 2_345_678 })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      message: expect.stringMatching(/^onnx\/model\.onnx should be sha256:[0-9a-f]{64} and is sha256:[0-9a-f]{64}/),
    })
  })

  it('that is slow is waited for', async () => {
    expect(isWhole(await importFromHub({ slowMs: 1 }))).toBe(true)
    expect(hub.files.get(path)!.requests).toBe(1)
  })
})
