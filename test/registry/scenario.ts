/**
 * A life of a registry that touches every statement, told as data, so that what happened on one database can be compared
 * with what happened on another. It runs inside workerd too: nothing here may need Node.
 */
import { isServingError } from '#contracts/errors.ts'
import { parseBody } from '#contracts/parse.ts'
import type { Principal } from '#contracts/registry.ts'
import { createEndpointSchema, updateConfigSchema } from '#src/registry/endpoint-schema.ts'
import type { NewModelVersion } from '#src/registry/models.ts'
import { Registry } from '#src/registry/registry.ts'
import type { SqlDatabase } from '#src/registry/sql-database.ts'

const ada: Principal = { name: 'ada@example.com', kind: 'user', groups: ['team-a'] }

export function tellScenario(database: SqlDatabase): unknown[] {
  let nowMs = 1_700_000_000_000
  let ids = 0
  const options = { nowMs: () => ++nowMs, newId: () => (++ids).toString(16).padStart(32, '0') }
  const registry = new Registry(database, options)
  const told: unknown[] = []
  const tell = (body: () => unknown) => told.push(answerOf(body))

  tell(() => registry.registerVersion(version(1)))
  tell(() => registry.registerVersion(version(2)))
  tell(() => registry.registerVersion({ ...version(2), version: '2' }))
  tell(() => registry.registerVersion({ ...version(3), version: '2' }))
  tell(() => registry.setAlias('main.ads.intent', 'champion', '1'))
  tell(() => registry.setAlias('main.ads.intent', 'champion', '2'))
  tell(() => registry.resolve('glim:main.ads.intent@champion'))
  tell(() => registry.listModels())

  const served = (...versions: string[]) => versions.map((each) => ({ entity_name: `main.ads.intent/${each}` }))
  const create = (body: unknown) => registry.createEndpoint(parseBody(createEndpointSchema, body), ada)
  const update = (body: unknown) => registry.updateConfig('a', parseBody(updateConfigSchema, body), ada)
  tell(() => create({ name: 'a', tags: [{ key: 'k', value: 'é' }], config: { served_entities: served('1') } }))
  tell(() => create({ name: 'a' }))
  tell(() => create({ name: 'b', route_optimized: true }))
  tell(() => registry.pendingDeployments())
  const { id } = registry.getEndpoint('a')
  tell(() => registry.appendBuildLog(id, 1, 'intent-1', 'reading\nloading'))
  tell(() => registry.entityReady(id, 1, 'intent-1'))
  tell(() => registry.buildLog('a', 'intent-1'))
  tell(() => update({ served_entities: served('2') }))
  tell(() => update({ served_entities: served('1') }))
  tell(() => registry.entityFailed(id, 2, 'intent-2', 'no memory'))
  tell(() => registry.deleteVersion('main.ads.intent', '2'))
  tell(() => update({ served_entities: served('1'), auto_capture_config: { enabled: false } }))
  tell(() => registry.deleteVersion('main.ads.intent', '2'))
  tell(() => registry.getModel('main.ads.intent'))
  tell(() => registry.entityReady(id, 3, 'intent-1'))

  tell(() => registry.setTags('a', [{ key: 'bare' }], ['k']))
  tell(() => registry.setNotifications('a', { on_update_failure: ['x@y.z'] }))
  tell(() => registry.setGrants(id, [{ kind: 'group_name', name: 'g', level: 'CAN_QUERY' }]))
  tell(() => registry.mergeGrants(id, [{ kind: 'group_name', name: 'g', level: 'CAN_VIEW' }]))
  const token = { hash: 'a'.repeat(64), principal: ada, comment: '', expiresMs: nowMs + 1_000_000 }
  tell(() => registry.createToken(token))
  tell(() => registry.createToken(token))
  tell(() => registry.setStarters(['a']))
  tell(() => new Registry(database, options).snapshot())

  tell(() => registry.revokeToken(registry.listTokens()[0]!.tokenId))
  tell(() => registry.deleteAlias('main.ads.intent', 'champion'))
  tell(() => registry.deleteEndpoint('a'))
  tell(() => registry.deleteModel('main.ads.intent'))
  tell(() => registry.snapshot())
  for (const table of ['versions', 'aliases', 'endpoint_configs', 'served_entities', 'tags', 'grants', 'build_logs']) {
    tell(() => database.exec(`SELECT count(*) AS rows FROM ${table}`).map((row) => row.rows))
  }
  return told
}

function answerOf(body: () => unknown): unknown {
  try {
    return { ok: body() ?? null }
  } catch (error) {
    // An error of the database itself reads differently on each and is none of the scenario's.
    if (!isServingError(error)) throw error
    return { refused: error.toJSON() }
  }
}

function version(seed: number): NewModelVersion {
  return {
    name: 'main.ads.intent',
    manifest: `sha256:${String(seed).padStart(64, '0')}`,
    task: 'text-classification',
    graph: 'model.onnx',
    options: { labels: ['é', 'b'] },
    signature: { inputs: [], outputs: [], params: [] },
    inputExample: null,
    sizeBytes: 5_000_000_000,
    heapBytes: 0,
    source: 'folder',
    comment: '',
    creator: ada.name,
  }
}
