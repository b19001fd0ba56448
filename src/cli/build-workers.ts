/**
 * The workers as modules: esbuild bundles the endpoint once per task, the host (which carries the endpoints as text) and the
 * dispatcher. Takes a fraction of a second, so it runs at every start and there is nothing stale to ship.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile } from 'esbuild'
import { tasks } from '#contracts/task.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const require = createRequire(import.meta.url)

export interface WorkerModule {
  type: 'esm' | 'text' | 'wasm'
  contents: string | Uint8Array
}

export interface BuiltWorker {
  mainModule: string
  modules: Record<string, WorkerModule>
}

export interface BuiltWorkers {
  dispatcher: BuiltWorker
  host: BuiltWorker
  /** What went into each bundle, for the test that keeps the two columns apart. */
  metafiles: Record<string, Metafile>
}

/** @param minify false keeps names, for reading stack traces. */
export async function buildWorkers({ minify = true }: { minify?: boolean } = {}): Promise<BuiltWorkers> {
  const [dispatcher, host, ...endpoints] = await Promise.all([
    bundle('workers/dispatcher/index.ts', minify),
    bundle('workers/host/index.ts', minify),
    ...tasks.map((task) => bundle(`workers/endpoint/${task}.ts`, minify)),
  ])
  const [ortWasm, jpegWasm] = await Promise.all([
    readFile(require.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')),
    readFile(join(dirname(require.resolve('@jsquash/jpeg/package.json')), 'codec/dec/mozjpeg_dec.wasm')),
  ])
  const endpointModules = tasks.map((task, index): [string, WorkerModule] => [
    `endpoint-${task}.js.txt`,
    { type: 'text', contents: endpoints[index]!.source },
  ])
  return {
    dispatcher: {
      mainModule: 'dispatcher.js',
      modules: { 'dispatcher.js': { type: 'esm', contents: dispatcher!.source } },
    },
    host: {
      mainModule: 'host.js',
      modules: {
        'host.js': { type: 'esm', contents: host!.source },
        ...Object.fromEntries(endpointModules),
        'ort.wasm': { type: 'wasm', contents: ortWasm },
        'ort-digest.js.txt': { type: 'text', contents: createHash('sha256').update(ortWasm).digest('hex') },
        'jpeg.wasm': { type: 'wasm', contents: jpegWasm },
      },
    },
    metafiles: {
      dispatcher: dispatcher!.metafile,
      host: host!.metafile,
      ...Object.fromEntries(tasks.map((task, index) => [task, endpoints[index]!.metafile])),
    },
  }
}

async function bundle(entry: string, minify: boolean): Promise<{ source: string; metafile: Metafile }> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: [
      'cloudflare:*',
      './*.wasm',
      './*.js.txt',
      ...(entry.includes('/endpoint/') ? ['module', 'worker_threads', 'node:*'] : []),
    ],
    minify,
    treeShaking: true,
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  return { source: result.outputFiles[0]!.text, metafile: result.metafile }
}
