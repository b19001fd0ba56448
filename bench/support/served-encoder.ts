/** The MiniLM-shaped q8 encoder behind an endpoint of a server that the benchmark starts, doused a moment after each request. */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { limits } from '#contracts/limits.ts'
import type { BuiltWorkers } from '#src/cli/build-workers.ts'
import { startServer } from '#src/cli/start-server.ts'
import { openEngine, saveOrt } from '#src/compiler/convert/save-ort.ts'
import type { ModelFile } from './seeded-weights.ts'

export interface BenchServer {
  /** Of its workerd. */
  pid: number
  url: URL
  /** The administrator's. */
  token: string
  /** @throws {Error} with the reply where it is not a success. */
  send<T = unknown>(method: string, path: string, body?: unknown): Promise<T>
  /** Uploads and imports the files, and brings an endpoint of the same name up. */
  serve(name: string, files: readonly ModelFile[], extra?: Record<string, unknown>): Promise<void>
  /** Resolves once the endpoint's isolate is gone. */
  untilCold(name: string): Promise<void>
  /** What the service log says since the newest load. */
  lastLoad(name: string): Promise<string>
  stop(): Promise<void>
}

export interface BenchServerOptions {
  idleMs: number
  /** Folder of state that outlives the server; a temporary one where absent. */
  home?: string
  workers: BuiltWorkers
}

/** The same for all servers of this process. */
const token = randomBytes(16).toString('hex')

export async function startBenchServer({ idleMs, workers, home: given }: BenchServerOptions): Promise<BenchServer> {
  const home = given ?? (await mkdtemp(join(tmpdir(), 'glim-bench-')))
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    home,
    adminTokenHash: createHash('sha256').update(token).digest('hex'),
    idleMs,
    expectStarters: false,
    log: (line) => console.error(line),
    workers,
  })

  async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
    const isRaw = body instanceof Uint8Array
    const response = await fetch(new URL(path, server.url), {
      method,
      headers: { authorization: `Bearer ${token}`, ...(isRaw ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: isRaw ? (body as BodyInit) : JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }
  const uploaded = async ({ path, bytes }: ModelFile) => {
    const shards = []
    for (let at = 0; at < bytes.byteLength; at += limits.shardBytes) {
      const shard = bytes.subarray(at, at + limits.shardBytes)
      const digest = `sha256:${createHash('sha256').update(shard).digest('hex')}`
      await send('PUT', `/api/2.0/glim/blobs/${digest}`, shard)
      shards.push({ digest, sizeBytes: shard.byteLength })
    }
    return { path, sizeBytes: bytes.byteLength, shards }
  }
  const endpoint = (name: string) =>
    send<{ state: { config_update: string }; state_summary: string }>('GET', `/api/2.0/serving-endpoints/${name}`)

  return {
    pid: newWorkerdPid(),
    url: server.url,
    token,
    send,
    async serve(name, files, extra = {}) {
      const artifacts = await Promise.all(files.map(uploaded))
      await send('POST', '/api/2.0/glim/models/import', { name, manifest: { version: 1, artifacts }, ...extra })
      const entity = { entity_name: name, entity_version: '1', scale_to_zero_enabled: true }
      await send('POST', '/api/2.0/serving-endpoints', { name, config: { served_entities: [entity] } })
      while ((await endpoint(name)).state.config_update === 'IN_PROGRESS') await wait(20)
    },
    async untilCold(name) {
      while (!(await endpoint(name)).state_summary.includes('Scaled to zero')) await wait(20)
      // Its memory comes back a moment after it is gone.
      await wait(400)
    },
    async lastLoad(name) {
      const path = `/api/2.0/serving-endpoints/${name}/served-models/${name}-1/logs`
      const { logs } = await send<{ logs: string }>('GET', path)
      const at = logs.lastIndexOf(' loaded: ')
      return at < 0
        ? ''
        : logs
            .slice(at + ' loaded: '.length)
            .replace(/\n\S+ /g, ', ')
            .trim()
    },
    async stop() {
      await server.stop()
      if (given === undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

const known = new Set<number>()

/** The workerd that this process has started since the last call. Linux only. */
function newWorkerdPid(): number {
  const isOurs = new RegExp(`^\\d+ \\(workerd\\) \\S ${process.pid} `)
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
  const pid = pids.map(Number).find((candidate) => !known.has(candidate) && isOurs.test(statusOf(candidate)))
  if (pid === undefined) throw new Error('No workerd of this process is to be found in /proc.')
  known.add(pid)
  return pid
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ''
  }
}

/** The files with the graph in ORT's own form, as importing makes it. */
export async function inOrtForm(files: readonly ModelFile[]): Promise<ModelFile[]> {
  const wasm = await WebAssembly.compile(
    await readFile(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')),
  )
  const engine = await openEngine({ factory, wasm })
  return files.map(({ path, bytes }) => {
    if (!path.endsWith('.onnx')) return { path, bytes }
    const { parts } = saveOrt(engine, { parts: [bytes], sizeBytes: bytes.byteLength })
    return { path: path.replace(/\.onnx$/, '.ort'), bytes: new Uint8Array(Buffer.concat(parts)) }
  })
}
