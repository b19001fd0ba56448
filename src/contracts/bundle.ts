/**
 * From served entity to running isolate: a spec says what to serve, the compiler makes a bundle of it, a mount runs the
 * bundle. The compiler does not know how a bundle is mounted.
 */
import * as z from 'zod'
import { digestSchema } from './manifest.ts'
import { tasks } from './task.ts'

export const endpointSpecSchema = z.strictObject({
  manifest: digestSchema,
  task: z.enum(tasks),
  /** The artifact that holds the graph. */
  graph: z.string(),
  /** Task options fixed at import, such as the pooling of an embedder. */
  options: z.record(z.string(), z.unknown()),
  /** Distinguishes isolates that must not be shared although they run the same model: one per endpoint and entity. */
  owner: z.string(),
  /** Milliseconds without a request until the isolate is doused; null keeps it warm. */
  idleMs: z.number().int().positive().nullable(),
})

export type EndpointSpec = z.infer<typeof endpointSpecSchema>

/** A spec as its isolate sees it. */
export interface MountedSpec extends EndpointSpec {
  /** Memory that the isolate may use, JavaScript and engine together. */
  isolateBytes: number
  /** Milliseconds for which its graph may work at a stretch. */
  runMs: number
}

export interface Bundle {
  /** Digest of everything below; the isolate's stable name. */
  id: string
  mainModule: string
  /** Module source by name; the shared wasm modules are added by the mount. */
  modules: Readonly<Record<string, string>>
  /** Names of precompiled wasm modules that the bundle imports. */
  wasm: readonly string[]
  env: { readonly SPEC: EndpointSpec }
}

/** Header of a call to the host: what to run, an `EndpointSpec` as percent-encoded JSON. */
export const specHeader = 'x-glim-spec'

/**
 * Header of every call beside it: a short name of the same spec, the first hex digits of that text's SHA-256. A host that knows the name needs no more; one that does not answers
 * `specUnknownStatus` without having done anything, and is then sent the spec.
 */
export const specNameHeader = 'x-glim-spec-name'

export const specNameLength = 32
export const specUnknownStatus = 428
