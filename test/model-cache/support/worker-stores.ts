/** Stores as they run in workerd, over a real disk service, R2 bucket and cache, driven from Node. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { BlobStore } from '#contracts/blob-store.ts'
import { internal } from '#contracts/errors.ts'
import { Miniflare } from '#src/cli/miniflare.ts'

const worker = `
  import { bufferPool } from '#model-cache/buffers.ts'
  import { cacheApiStore } from '#model-cache/stores/cache-api.ts'
  import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
  import { r2Store } from '#model-cache/stores/r2.ts'

  const buffers = bufferPool()
  async function storeOf(kind, space, env) {
    if (kind === 'cache-api') return cacheApiStore(await caches.open(space))
    if (kind === 'r2') return r2Store(inSpace(env.BUCKET, space))
    const disk = { fetch: (url, init) => env.DISK.fetch(url.replace('http://disk/', 'http://disk/' + space + '/'), init) }
    return diskServiceStore(disk, kind, kind === 'disk-with-buffers' ? buffers : undefined)
  }
  const inSpace = (bucket, space) => ({
    get: (key) => bucket.get(space + key), head: (key) => bucket.head(space + key),
    put: (key, bytes) => bucket.put(space + key, bytes), delete: (key) => bucket.delete(space + key),
  })

  export default {
    async fetch(request, env) {
      const [, kind, space, digest] = new URL(request.url).pathname.split('/')
      const store = await storeOf(kind, space, env)
      switch (request.method) {
        case 'PUT':
          await store.put(digest, await request.bytes())
          return new Response()
        case 'DELETE':
          await store.delete(digest)
          return new Response()
        case 'POST':
          return Response.json(await store.has(digest))
        default: {
          const left = request.headers.get('x-left')
          const signal = left ? AbortSignal.abort(new Error(left)) : undefined
          const bytes = await store.get(digest, { signal })
          const copy = bytes?.slice()
          if (bytes && kind === 'disk-with-buffers') buffers.give(bytes)
          return bytes ? new Response(copy) : new Response(null, { status: 404 })
        }
      }
    },
  }
`

export type WorkerStoreKind = 'disk' | 'disk-with-buffers' | 'r2' | 'cache-api'

export interface WorkerStores {
  /** A new, empty store; `folder` is where the disk's files are. */
  open(kind: WorkerStoreKind): BlobStore
  folder: string
  stop(): Promise<void>
}

export async function startWorkerStores(): Promise<WorkerStores> {
  const folder = mkdtempSync(join(tmpdir(), 'glim-stores-'))
  const { outputFiles } = await build({
    stdin: { contents: worker, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
  })
  const miniflare = new Miniflare({
    cf: false,
    workers: [
      {
        config: {
          name: 'stores',
          compatibilityDate: '2026-11-01',
          manifest: { mainModule: 'main.js', modules: { 'main.js': { type: 'esm', contents: outputFiles[0]!.text } } },
          env: {
            DISK: { type: 'disk', path: folder, writable: true },
            BUCKET: { type: 'r2', name: 'blobs' },
          },
        },
      },
    ],
  })
  await miniflare.ready
  let spaces = 0
  return {
    folder,
    open: (kind) => remoteStore(miniflare, kind, `space-${spaces++}`),
    async stop() {
      await miniflare.dispose()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function remoteStore(miniflare: Miniflare, kind: WorkerStoreKind, space: string): BlobStore {
  const ask = async (method: string, digest: string, body?: Uint8Array, left?: string) => {
    const url = `http://stores/${kind}/${space}/${digest}`
    const headers: Record<string, string> = { 'accept-encoding': 'identity', ...(left ? { 'x-left': left } : {}) }
    const response = await miniflare.dispatchFetch(url, { method, headers, ...(body ? { body } : {}) })
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (!response.ok && response.status !== 404) throw internal(new TextDecoder().decode(bytes))
    return { isFound: response.ok, bytes }
  }
  return {
    name: kind,
    async get(digest, options) {
      const left = options?.signal?.aborted ? String(options.signal.reason) : undefined
      const { isFound, bytes } = await ask('GET', digest, undefined, left)
      return isFound ? bytes : null
    },
    put: async (digest, bytes) => void (await ask('PUT', digest, bytes)),
    has: async (digest) => JSON.parse(new TextDecoder().decode((await ask('POST', digest)).bytes)) as boolean,
    delete: async (digest) => void (await ask('DELETE', digest)),
  }
}
