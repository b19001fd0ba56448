/** The sides of the benchmark, each over the same bytes, in one isolate under `workerd serve`. */
import type { Shard } from '#contracts/manifest.ts'
import { bufferPool } from '#model-cache/buffers.ts'
import { digestOf } from '#model-cache/digest.ts'
import { writeArtifact } from '#model-cache/read-artifact.ts'
import { type DiskService, diskServiceStore } from '#model-cache/stores/disk-service.ts'

const shardBytes = 1024 * 1024

interface Env {
  DISK: DiskService
}
interface FillingReader {
  readAtLeast(minBytes: number, view: Uint8Array): Promise<{ value: Uint8Array; done: boolean }>
}

const buffers = bufferPool()
let shards: Shard[] = []
let inMemory: Uint8Array[] = []

const sides: Readonly<Record<string, (env: Env) => Promise<number>>> = {
  /** Writes the file twice, as shards and as one, and keeps its bytes in memory for `sha256`. */
  async prepare({ DISK }) {
    const store = diskServiceStore(DISK)
    const count = 64
    const whole = new Uint8Array(count * shardBytes)
    for (let at = 0; at < whole.byteLength; at += 65_536) crypto.getRandomValues(whole.subarray(at, at + 65_536))
    inMemory = Array.from({ length: count }, (_, at) => whole.subarray(at * shardBytes, (at + 1) * shardBytes))
    shards = await Promise.all(
      inMemory.map(async (bytes) => ({ digest: await digestOf(bytes), sizeBytes: shardBytes })),
    )
    for (const [index, bytes] of inMemory.entries()) await store.put(shards[index]!.digest, bytes)
    await DISK.fetch('http://disk/whole', { method: 'PUT', body: whole })
    return whole.byteLength
  },

  async sha256() {
    let bytes = 0
    for (const shard of inMemory) {
      await crypto.subtle.digest('SHA-256', shard as BufferSource)
      bytes += shard.byteLength
    }
    return bytes
  },

  /** The whole file by the fastest plain reader that workerd has: into one buffer, again and again. */
  async plain({ DISK }) {
    const response = await DISK.fetch('http://disk/whole')
    const reader = response.body!.getReader({ mode: 'byob' }) as unknown as FillingReader
    let bytes = 0
    let buffer = new Uint8Array(shardBytes)
    for (;;) {
      const { value, done } = await reader.readAtLeast(shardBytes, buffer)
      if (done) return bytes
      bytes += value.byteLength
      buffer = new Uint8Array(value.buffer as ArrayBuffer)
    }
  },

  /** As a process reads what it has not met before: by SHA-256, the same way otherwise. */
  async hashed({ DISK }) {
    const store = diskServiceStore(DISK, 'disk', buffers)
    let bytes = 0
    for (const { digest } of shards) {
      const shard = (await store.get(digest))!
      if ((await digestOf(shard)) !== digest) throw new Error(`${digest} is corrupt`)
      bytes += shard.byteLength
      buffers.give(shard)
    }
    return bytes
  },

  async verified({ DISK }) {
    let bytes = 0
    const sink = new WritableStream<Uint8Array>({
      write(chunk) {
        bytes += chunk.byteLength
      },
    })
    const artifact = { path: 'model.onnx', sizeBytes: shards.length * shardBytes, shards }
    // One thread reads and hashes, so more shards ahead only push each other out of the processor's cache.
    await writeArtifact(artifact, sink, { tiers: [diskServiceStore(DISK, 'disk', buffers)], inFlight: 1, buffers })
    return bytes
  },
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const side = sides[new URL(request.url).pathname.slice(1)]
    return side ? Response.json(await side(env)) : new Response('ready')
  },
}
