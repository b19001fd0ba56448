/** The name of a heap snapshot: it changes with everything that the heap of a ready session depends on. */
import type { EndpointSpec } from '#contracts/bundle.ts'
import type { Digest } from '#contracts/manifest.ts'
import { canonicalJson } from '#model-cache/canonical-json.ts'
import { digestOf } from '#model-cache/digest.ts'
import { sessionOptionsOf, snapshotFormat } from '#src/engine/ort/session-options.ts'
import { ortWasmDigest } from './templates.ts'

export function snapshotKeyOf({ manifest, graph }: Pick<EndpointSpec, 'manifest' | 'graph'>): Promise<Digest> {
  const session = sessionOptionsOf(graph)
  const parts = { format: snapshotFormat, wasm: ortWasmDigest, manifest, graph, session }
  return digestOf(new TextEncoder().encode(canonicalJson(parts)))
}
