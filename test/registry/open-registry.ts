/** A registry on real SQLite whose time and ids the test decides. */
import { parseBody } from '#contracts/parse.ts'
import type { Endpoint, Principal } from '#contracts/registry.ts'
import { createEndpointSchema, updateConfigSchema } from '#src/registry/endpoint-schema.ts'
import type { NewModelVersion } from '#src/registry/models.ts'
import { Registry } from '#src/registry/registry.ts'
import { NodeDatabase } from '#src/registry/stores/node.ts'

export const ada: Principal = { name: 'ada@example.com', kind: 'user', groups: [] }
export const grace: Principal = { name: 'grace@example.com', kind: 'user', groups: ['team-a'] }
export const admin: Principal = { name: 'root@example.com', kind: 'user', groups: ['admins'] }

export interface OpenRegistry {
  registry: Registry
  database: NodeDatabase
  clock: { nowMs: number }
  /** Parses as the gateway does, then creates. */
  create(body: unknown, principal?: Principal): Endpoint
  update(name: string, body: unknown, principal?: Principal): Endpoint
  /** Reports every pending entity of the endpoint ready. */
  bringUp(name: string): Endpoint
}

export function openRegistry(path = ':memory:'): OpenRegistry {
  const database = new NodeDatabase(path)
  const clock = { nowMs: 1_700_000_000_000 }
  let ids = 0
  const registry = new Registry(database, {
    nowMs: () => clock.nowMs,
    newId: () => (++ids).toString(16).padStart(32, '0'),
  })
  const create: OpenRegistry['create'] = (body, principal = ada) =>
    registry.createEndpoint(parseBody(createEndpointSchema, body), principal)
  const update: OpenRegistry['update'] = (name, body, principal = ada) =>
    registry.updateConfig(name, parseBody(updateConfigSchema, body), principal)
  const bringUp = (name: string) => {
    for (const { endpointId, endpointName, configVersion, entity } of registry.pendingDeployments()) {
      if (endpointName === name) registry.entityReady(endpointId, configVersion, entity.name)
    }
    return registry.getEndpoint(name)
  }
  return { registry, database, clock, create, update, bringUp }
}

/** A version as an import would register it; `seed` stands for its bytes. */
export function modelVersion(name: string, seed = 1, more: Partial<NewModelVersion> = {}): NewModelVersion {
  return {
    name,
    manifest: `sha256:${seed.toString(16).padStart(64, '0')}`,
    task: 'text-classification',
    graph: 'model.onnx',
    options: {},
    signature: { inputs: [], outputs: [], params: [] },
    inputExample: { inputs: ['hello'] },
    sizeBytes: 1_000,
    heapBytes: 2_000,
    source: 'folder',
    comment: '',
    creator: 'ada@example.com',
    ...more,
  }
}

/** A registry that knows `intent` 1 and 2, `embed` 1 and `main.ads.ads-model` 3. */
export function openWithModels(path?: string): OpenRegistry {
  const opened = openRegistry(path)
  const { registry } = opened
  registry.registerVersion(modelVersion('intent', 1))
  registry.registerVersion(modelVersion('intent', 2))
  registry.registerVersion(modelVersion('embed', 3, { task: 'feature-extraction' }))
  registry.registerVersion(modelVersion('main.ads.ads-model', 4, { version: '3' }))
  return opened
}

/** An entity of `served_entities`. */
export function entity(name: string, version: string, more: Record<string, unknown> = {}) {
  return { entity_name: name, entity_version: version, ...more }
}

/** The facts of the error that `body` throws, as a plain object to compare. */
export function refusal(body: () => unknown): { status: number; code: string; message: string; field?: string } {
  try {
    body()
  } catch (error) {
    const { status, code, message, field } = error as { status: number; code: string; message: string; field?: string }
    return { status, code, message, ...(field === undefined ? {} : { field }) }
  }
  throw new Error('Nothing was refused.')
}
