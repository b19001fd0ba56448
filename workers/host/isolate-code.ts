/** What the Worker Loader runs for a bundle: its modules, its capabilities, and no network. */
import type { Bundle, MountedSpec } from '#contracts/bundle.ts'
import { internal } from '#contracts/errors.ts'
import type { HostEnv } from './env.ts'
import { snapshotKeyOf } from './snapshot-key.ts'
import { wasmModules } from './templates.ts'

/** Later dates give isolates a Node-like `process`, for which ONNX Runtime's factory would look for a file system. */
const compatibilityDate = '2026-07-30'
const compatibilityFlags = [
  'enable_request_signal',
  'request_signal_passthrough',
  'no_nodejs_compat',
  'no_nodejs_compat_v2',
]

/** `capabilities` are what this mount has beside its own weights, by name. */
export async function isolateCode(
  bundle: Bundle,
  { exports }: Pick<ExecutionContext, 'exports'>,
  env: HostEnv,
  capabilities: Readonly<Record<string, ServiceBinding>> = {},
): Promise<DynamicWorkerCode> {
  const spec: MountedSpec = { ...bundle.env.SPEC, isolateBytes: env.ISOLATE_BYTES, runMs: env.RUN_MS }
  const props = { manifest: spec.manifest, snapshot: await snapshotKeyOf(spec) }
  return {
    compatibilityDate,
    compatibilityFlags,
    mainModule: bundle.mainModule,
    modules: { ...bundle.modules, ...Object.fromEntries(bundle.wasm.map((name) => [name, wasmOf(name)])) },
    env: { ...bundle.env, SPEC: spec, WEIGHTS: exports.Weights!({ props }), ...capabilities },
    globalOutbound: null,
  }
}

function wasmOf(name: string): WebAssembly.Module {
  const module = wasmModules[name]
  if (!module) throw internal(`The host has no wasm module "${name}".`)
  return module
}
