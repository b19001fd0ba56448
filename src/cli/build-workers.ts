/**
 * The workers as modules: esbuild bundles the endpoint once per task, the host (which carries the endpoints as text) and the
 * dispatcher. Takes a third of a second, so it runs at every start and there is nothing stale to ship.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { tasks } from '#contracts/task.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const require = createRequire(import.meta.url)

/** Modules of Node that ONNX Runtime's factory names and asks for nowhere else. */
const askedForInNodeOnly = ['module', 'worker_threads', 'node:*']

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
  /** The source files in each bundle, for the test that keeps the two columns apart. */
  inputs: Record<string, readonly string[]>
}

export async function buildWorkers(): Promise<BuiltWorkers> {
  const [[dispatcher, host], endpoints] = await Promise.all([
    bundle(['workers/dispatcher/index.ts', 'workers/host/index.ts']),
    bundle(
      tasks.map((task) => `workers/endpoint/${task}.ts`),
      askedForInNodeOnly,
    ),
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
    inputs: {
      dispatcher: dispatcher!.inputs,
      host: host!.inputs,
      ...Object.fromEntries(tasks.map((task, index) => [task, endpoints[index]!.inputs])),
    },
  }
}

interface Bundle {
  source: string
  inputs: readonly string[]
}

/** One self-contained bundle for each entry; what they share is read and parsed once. */
async function bundle(entryPoints: readonly string[], external: readonly string[] = []): Promise<Bundle[]> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [...entryPoints],
    outdir: 'bundles',
    bundle: true,
    format: 'esm',
    target: 'es2024',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser', 'import'],
    external: ['cloudflare:*', './*.wasm', './*.js.txt', ...external],
    minify: true,
    treeShaking: true,
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const bundles = new Map(
    outputFiles.map(({ path, text }): [string | undefined, Bundle] => {
      const { entryPoint, inputs } = metafile.outputs[relative(root, path)]!
      return [entryPoint, { source: text, inputs: Object.keys(inputs) }]
    }),
  )
  return entryPoints.map((entry) => bundles.get(entry)!)
}
