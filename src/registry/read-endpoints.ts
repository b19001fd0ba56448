/**
 * Endpoints put together from their rows. All of them are read in five statements however many there are, since a
 * snapshot is that and is taken after every change.
 */
import { doesNotExist } from '#contracts/errors.ts'
import type {
  ConfigUpdateState,
  DeploymentState,
  Endpoint,
  EndpointConfig,
  Grant,
  GranteeKind,
  PermissionLevel,
  Principal,
  ServedEntity,
} from '#contracts/registry.ts'
import { integerOf, integerOrNull, jsonOf, textOf, textOrNull } from './columns.ts'
import type { SqlDatabase, SqlRow } from './sql-database.ts'

/** All endpoints, by name. */
export function readEndpoints(database: SqlDatabase): Endpoint[] {
  const parts = {
    configs: byEndpoint(database.exec('SELECT * FROM endpoint_configs')),
    entities: byEndpoint(database.exec('SELECT * FROM served_entities ORDER BY position')),
    tags: byEndpoint(database.exec('SELECT * FROM tags ORDER BY key')),
    grants: byEndpoint(database.exec('SELECT * FROM grants ORDER BY kind, name')),
  }
  return database.exec('SELECT * FROM endpoints ORDER BY name').map((row) => {
    const id = textOf(row, 'id')
    return endpointFrom(row, {
      configs: parts.configs.get(id) ?? [],
      entities: parts.entities.get(id) ?? [],
      tags: parts.tags.get(id) ?? [],
      grants: parts.grants.get(id) ?? [],
    })
  })
}

/** @throws {ServingError} 404; final. */
export function readEndpoint(database: SqlDatabase, name: string): Endpoint {
  const [row] = database.exec('SELECT * FROM endpoints WHERE name = ?', name)
  if (!row) throw doesNotExist(`Serving endpoint with name ${name} not found`)
  return withParts(database, row)
}

/** Permissions are kept under the id, which a later endpoint of the same name does not share. */
export function readEndpointById(database: SqlDatabase, id: string): Endpoint {
  const [row] = database.exec('SELECT * FROM endpoints WHERE id = ?', id)
  if (!row) throw doesNotExist(`Serving endpoint with id ${id} not found`)
  return withParts(database, row)
}

interface EndpointParts {
  configs: readonly SqlRow[]
  entities: readonly SqlRow[]
  tags: readonly SqlRow[]
  grants: readonly SqlRow[]
}

function withParts(database: SqlDatabase, row: SqlRow): Endpoint {
  const id = textOf(row, 'id')
  return endpointFrom(row, {
    configs: database.exec('SELECT * FROM endpoint_configs WHERE endpoint_id = ?', id),
    entities: database.exec('SELECT * FROM served_entities WHERE endpoint_id = ? ORDER BY position', id),
    tags: database.exec('SELECT * FROM tags WHERE endpoint_id = ? ORDER BY key', id),
    grants: database.exec('SELECT * FROM grants WHERE endpoint_id = ? ORDER BY kind, name', id),
  })
}

function endpointFrom(row: SqlRow, parts: EndpointParts): Endpoint {
  return {
    id: textOf(row, 'id'),
    name: textOf(row, 'name'),
    creator: textOf(row, 'creator'),
    creatorKind: textOf(row, 'creator_kind') as Principal['kind'],
    createdMs: integerOf(row, 'created_ms'),
    updatedMs: integerOf(row, 'updated_ms'),
    description: textOf(row, 'description'),
    tags: Object.fromEntries(parts.tags.map((tag) => [textOf(tag, 'key'), textOrNull(tag, 'value') ?? undefined])),
    routeOptimized: integerOf(row, 'route_optimized') === 1,
    budgetPolicyId: textOrNull(row, 'budget_policy_id'),
    emailNotifications: jsonOf(row, 'email_notifications'),
    active: configFrom(integerOrNull(row, 'active_version'), parts),
    pending: configFrom(integerOrNull(row, 'pending_version'), parts),
    configUpdate: textOf(row, 'config_update') as ConfigUpdateState,
    grants: parts.grants.map(grantFrom),
  }
}

function configFrom(version: number | null, { configs, entities }: EndpointParts): EndpointConfig | null {
  const row = configs.find((config) => config.version === version)
  if (version === null || !row) return null
  return {
    version,
    servedEntities: entities.filter((entity) => entity.config_version === version).map(entityFrom),
    routes: jsonOf(row, 'routes'),
    ...(row.auto_capture === null ? {} : { autoCapture: jsonOf<Record<string, unknown>>(row, 'auto_capture') }),
    startedMs: integerOf(row, 'started_ms'),
  }
}

export function entityFrom(row: SqlRow): ServedEntity {
  return {
    name: textOf(row, 'name'),
    entityName: textOf(row, 'entity_name'),
    entityVersion: String(integerOf(row, 'entity_version')),
    echo: jsonOf(row, 'echo'),
    scaleToZero: integerOf(row, 'scale_to_zero') === 1,
    creator: textOf(row, 'creator'),
    createdMs: integerOf(row, 'created_ms'),
    state: textOf(row, 'state') as DeploymentState,
    stateMessage: textOf(row, 'state_message'),
  }
}

function grantFrom(row: SqlRow): Grant {
  return {
    kind: textOf(row, 'kind') as GranteeKind,
    name: textOf(row, 'name'),
    level: textOf(row, 'level') as PermissionLevel,
  }
}

function byEndpoint(rows: readonly SqlRow[]): Map<string, SqlRow[]> {
  return Map.groupBy(rows, (row) => textOf(row, 'endpoint_id'))
}
