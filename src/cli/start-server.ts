/**
 * The server in one process group: workerd with the dispatcher and the host, started and watched by Miniflare. Tests start it
 * the same way.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { MiniflareOptions } from 'miniflare'
import { limits } from '#contracts/limits.ts'
import { type BuiltWorker, type BuiltWorkers, buildWorkers } from './build-workers.ts'
import { Miniflare } from './miniflare.ts'
import { watchServer } from './watchdog.ts'
import { adoptWorkerd, stateVariable, withoutSignalListeners } from './workerd-process.ts'

export interface ServerOptions {
  host: string
  /** 0 takes a free port. */
  port: number
  /** Folder of all state. */
  home: string
  /** Lower-case hex SHA-256 of the administrator's token. */
  adminTokenHash: string
  idleMs: number
  expectStarters: boolean
  /** Where artifacts with an origin come from; absent: nowhere. */
  hub?: { url: string; token?: string }
  /** The most that the model cache may hold on disk. */
  cacheBytes?: number
  /** Memory that one endpoint isolate may use, JavaScript and engine together. */
  isolateBytes?: number
  /** Milliseconds for which one graph may work at a stretch. */
  runMs?: number
  /** After so many milliseconds without any answer workerd is ended and started again. */
  hungMs?: number
  /** Receives what the workers print. */
  log(line: string): void
  /** Built already; tests put modules of their own in. */
  workers?: BuiltWorkers
}

export interface Server {
  url: URL
  /** Ends it at once. */
  stop(): Promise<void>
  /** Takes no new connections, lets requests finish for at most so long, then ends. */
  drain(limitMs: number): Promise<void>
}

/**
 * `--no-flush-liftoff-code`: all endpoint isolates share one compiled engine. By default V8 drops its baseline code whenever
 * isolates come and go, and dropped code is freed only once every isolate, idle ones too, agrees that it is unused: each cold
 * start would compile anew (+150 ms) and keep 5 to 15 MB for good.
 *
 * The sizes, in MB: on every hop a request leaves objects (the request, its streams, its signals) that only a full collection
 * frees, and behind each of them native memory that V8 does not see. V8 collects by what it sees, so by default several
 * hundred MB wait for it, and more with each of 100,000 requests. A first full collection at 8 MB, and limits of later ones that
 * a young generation of 2 MB leaves low, keep it near 100 MB; a young generation of 1 MB seemed to slow cold starts down.
 *
 * `--wasm-tiering-budget`: how much of a function runs before the optimising compiler gets it. V8's own 13 million send it much of the
 * engine that is never hot, which keeps 250 MB for good and has the hot functions wait in the queue behind it.
 */
export const v8Flags = [
  '--no-flush-liftoff-code',
  '--max-semi-space-size=2',
  '--initial-old-space-size=8',
  '--wasm-tiering-budget=100000000',
].join(' ')

const defaultCacheBytes = 20 * 2 ** 30

const compatibilityDate = '2026-11-01'
const compatibilityFlags = ['enable_request_signal', 'request_signal_passthrough']

/** Resolves once it accepts connections. Signals are left to the caller; while nobody listens to them they end all as usual. */
export async function startServer(options: ServerOptions): Promise<Server> {
  await mkdir(blobsOf(options), { recursive: true })
  const workers = options.workers ?? (await buildWorkers())
  process.env.MINIFLARE_WORKERD_V8_FLAGS ??= v8Flags
  const workerd = await adoptWorkerd()
  const miniflare = withoutSignalListeners(() => new Miniflare(miniflareOptions(options, workers)))
  let unwatch = () => {}
  const dispose = async () => {
    unwatch()
    await miniflare.dispose()
    await workerd.release()
  }
  try {
    await miniflare.ready
    const url = await miniflare.unsafeGetDirectURL('dispatcher')
    const { hungMs = limits.executionMs + (options.runMs ?? limits.runMs) } = options
    unwatch = watchServer({
      url,
      limitMs: hungMs,
      end: () => {
        options.log(
          `error: nothing was answered for ${hungMs / 1_000} s, so workerd is ended: a model may be too slow for it`,
        )
        workerd.kill()
      },
    })
    return { url, stop: dispose, drain: (limitMs) => workerd.drain(limitMs, dispose) }
  } catch (error) {
    await dispose().catch(() => {})
    throw error
  }
}

function miniflareOptions(options: ServerOptions, { dispatcher, host }: BuiltWorkers): MiniflareOptions {
  return {
    port: 0,
    cf: false,
    resourcePersistencePath: join(options.home, 'state'),
    unsafeHandleRuntimeRestart: () => options.log('error: workerd ended unexpectedly and was started again'),
    unsafeRuntimeEnv: { [stateVariable]: options.home },
    handleStructuredLogs: ({ level, message }) => {
      if (!isExpected(message)) options.log(`${level}: ${message}`)
    },
    workers: [
      {
        config: {
          name: 'dispatcher',
          compatibilityDate,
          compatibilityFlags,
          manifest: manifestOf(dispatcher),
          env: {
            HOST: { type: 'worker', worker: 'host' },
            REGISTRY: { type: 'durable-object', worker: 'dispatcher', exportName: 'RegistryObject' },
            INVOCATION_LOG: { type: 'durable-object', worker: 'dispatcher', exportName: 'InvocationLogObject' },
            RESPONSE_STORE: { type: 'durable-object', worker: 'dispatcher', exportName: 'ResponseStoreObject' },
            ADMIN_TOKEN_HASH: { type: 'text', value: options.adminTokenHash },
            ALLOWED_HOSTS: { type: 'text', value: isLoopback(options.host) ? 'loopback' : 'any' },
            IDLE_MS: { type: 'json', value: options.idleMs },
            EXPECT_STARTERS: { type: 'json', value: options.expectStarters },
          },
          exports: {
            RegistryObject: { type: 'durable-object', storage: 'sqlite' },
            InvocationLogObject: { type: 'durable-object', storage: 'sqlite' },
            ResponseStoreObject: { type: 'durable-object', storage: 'sqlite' },
          },
        },
        dev: { unsafeDirectSockets: [{ host: options.host, port: options.port }] },
      },
      {
        config: {
          name: 'host',
          compatibilityDate,
          compatibilityFlags,
          manifest: manifestOf(host),
          env: {
            LOADER: { type: 'worker-loader' },
            REPLICA: { type: 'durable-object', worker: 'host', exportName: 'Replica' },
            MODEL_CACHE: { type: 'durable-object', worker: 'host', exportName: 'ModelCache' },
            SNAPSHOT_BUILDER: { type: 'durable-object', worker: 'host', exportName: 'SnapshotBuilder' },
            BLOBS: { type: 'disk', path: blobsOf(options), writable: true },
            CACHE_BYTES: { type: 'json', value: options.cacheBytes ?? defaultCacheBytes },
            ISOLATE_BYTES: { type: 'json', value: options.isolateBytes ?? limits.isolateBytes },
            RUN_MS: { type: 'json', value: options.runMs ?? limits.runMs },
            HUB_URL: { type: 'text', value: options.hub?.url ?? '' },
            HUB_TOKEN: { type: 'text', value: options.hub?.token ?? '' },
          },
          exports: {
            Replica: { type: 'durable-object', storage: 'sqlite' },
            ModelCache: { type: 'durable-object', storage: 'sqlite' },
            SnapshotBuilder: { type: 'durable-object', storage: 'sqlite' },
          },
        },
      },
    ],
  }
}

function blobsOf({ home }: ServerOptions): string {
  return join(home, 'blobs')
}

/** What workerd says of things that are meant: isolates that end themselves, as doused endpoints do, and its own end and start. */
function isExpected(message: string): boolean {
  return expected.some((part) => message.includes(part))
}

const expected = [
  'script terminated for unknown reasons',
  'is still referenced after the server was dropped',
  'NOSENTRY',
]

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function manifestOf({ mainModule, modules }: BuiltWorker) {
  return { mainModule, modules: modules as Record<string, { type: 'esm'; contents: string }> }
}
