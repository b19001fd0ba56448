/** What the cache does with the pieces that only workerd has: its disk service, fixed-length streams and digest streams. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Miniflare } from '#src/cli/miniflare.ts'
import { artifactOf, randomFrom, sha256 } from './support/bytes.ts'
import { type OriginServer, startOrigin } from './support/origin-server.ts'

const worker = `
  import { bufferPool } from '#model-cache/buffers.ts'
  import { newDigestStreamHash } from '#model-cache/digest-stream.ts'
  import { fetchArtifact } from '#model-cache/fetch-artifact.ts'
  import { streamArtifact, writeArtifact } from '#model-cache/read-artifact.ts'
  import { diskServiceStore } from '#model-cache/stores/disk-service.ts'

  const buffers = bufferPool()
  export default {
    async fetch(request, env, ctx) {
      const { artifact, url, shardBytes } = await request.json()
      const store = diskServiceStore(env.DISK, 'disk', buffers)
      const tiers = [store]
      switch (new URL(request.url).pathname) {
        case '/fetch': {
          const { sizeBytes, digest } = artifact
          const origin = { url, fetch: (...args) => fetch(...args), newHash: newDigestStreamHash }
          return Response.json(await fetchArtifact({ ...origin, sizeBytes, digest, store, shardBytes }))
        }
        case '/stream':
          return new Response(streamArtifact(artifact, { tiers }))
        case '/write': {
          const { readable, writable } = new FixedLengthStream(artifact.sizeBytes)
          ctx.waitUntil(writeArtifact(artifact, writable, { tiers, buffers }).catch(() => {}))
          return new Response(readable)
        }
        case '/cancel': {
          const { readable, writable } = new FixedLengthStream(artifact.sizeBytes)
          const written = writeArtifact(artifact, writable, { tiers, buffers })
          const reader = readable.getReader()
          await reader.read()
          await reader.cancel(new Error('client left'))
          return new Response(await written.catch((error) => error.message))
        }
      }
    },
  }
`

const shardBytes = 256 * 1024
const file = randomFrom(51).bytes(20 * shardBytes + 777)
const artifact = artifactOf(file, shardBytes)

let miniflare: Miniflare
let origin: OriginServer
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'glim-workerd-'))
  origin = await startOrigin(file)
  const { outputFiles } = await build({
    stdin: { contents: worker, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
  })
  miniflare = new Miniflare({
    cf: false,
    workers: [
      {
        config: {
          name: 'cache',
          compatibilityDate: '2026-11-01',
          manifest: { mainModule: 'main.js', modules: { 'main.js': { type: 'esm', contents: outputFiles[0]!.text } } },
          env: { DISK: { type: 'disk', path: folder, writable: true } },
        },
      },
    ],
  })
  await miniflare.ready
})

afterAll(async () => {
  await miniflare?.dispose()
  await origin?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function ask(path: string): Promise<Response> {
  const body = JSON.stringify({ artifact, url: origin.url, shardBytes })
  // Compressing noise is most of the work otherwise.
  const request = { method: 'POST', headers: { 'accept-encoding': 'identity' }, body }
  return (await miniflare.dispatchFetch(`http://cache${path}`, request)) as unknown as Response
}

describe('in workerd', () => {
  it('a file comes from its origin over a broken connection, and its digest from a digest stream', async () => {
    origin.faults.push({ kind: 'cut', afterBytes: 7 * shardBytes + 1 })
    const fetched = await ask('/fetch')
    expect(await fetched.json()).toEqual({
      shards: artifact.shards,
      digest: artifact.digest,
      etag: origin.etag,
      pinned: false,
    })
    expect(origin.requests).toHaveLength(2)
  })

  it.each(['/stream', '/write'])('a stored artifact is the same bytes by %s, time after time', async (path) => {
    for (let round = 0; round < 4; round++) {
      const bytes = new Uint8Array(await (await ask(path)).arrayBuffer())
      expect(sha256(bytes)).toBe(artifact.digest)
    }
  })

  it('readers at once do not see each other’s memory', async () => {
    const replies = await Promise.all(Array.from({ length: 12 }, () => ask('/write')))
    const digests = await Promise.all(replies.map(async (reply) => sha256(new Uint8Array(await reply.arrayBuffer()))))
    expect(new Set(digests)).toEqual(new Set([artifact.digest]))
  })

  it('a reader that cancels ends the reads', async () => {
    expect(await (await ask('/cancel')).text()).toBe('client left')
    expect((await (await ask('/stream')).arrayBuffer()).byteLength).toBe(artifact.sizeBytes)
  })

  it('a file that a crash tore is refused before a byte of it is out, and dropped', async () => {
    const torn = artifact.shards[4]!.digest.slice('sha256:'.length)
    const path = join(folder, torn.slice(0, 2), torn)
    writeFileSync(path, readFileSync(path).subarray(0, 1_000))
    const bytes = await (await ask('/write')).arrayBuffer().catch(() => null)
    expect(bytes === null || bytes.byteLength <= 4 * shardBytes).toBe(true)
    expect(readdirSync(join(folder, torn.slice(0, 2)))).not.toContain(torn)
  })
})
