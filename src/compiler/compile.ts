/**
 * Spec to bundle: the prebuilt module of the spec's task, the names of the wasm modules it imports, and the spec itself as
 * the isolate's only data. Nothing here knows how a bundle is mounted.
 */

import type { Bundle, EndpointSpec } from '#contracts/bundle.ts'
import { hexOf } from '#contracts/bytes.ts'
import type { Task } from '#contracts/task.ts'

export interface TaskTemplate {
  /** The prebuilt, tree-shaken module. */
  source: string
  wasm: readonly string[]
}

export type TaskTemplates = Readonly<Record<Task, TaskTemplate>>

/** Resolves to the bundle whose id changes with anything that could change its answers. */
export async function compile(spec: EndpointSpec, templates: TaskTemplates): Promise<Bundle> {
  const template = templates[spec.task]
  const identity = JSON.stringify([
    spec.owner,
    spec.manifest,
    spec.task,
    spec.graph,
    Object.entries(spec.options).sort(([a], [b]) => (a < b ? -1 : 1)),
    template.source,
  ])
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(identity)))
  return {
    id: hexOf(hash),
    mainModule: 'endpoint.js',
    modules: { 'endpoint.js': template.source },
    wasm: template.wasm,
    env: { SPEC: spec },
  }
}
