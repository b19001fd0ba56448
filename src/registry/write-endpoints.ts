/** Rows of endpoints as users change them; their configurations change in `deployments.ts` only. */
import { alreadyExists, invalidParameter } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Endpoint, Grant, Principal } from '#contracts/registry.ts'
import { integerOf } from './columns.ts'
import type { CreateEndpointBody, EmailNotifications, TagBody } from './endpoint-schema.ts'
import { invalidState } from './invalid-state.ts'
import type { SqlDatabase } from './sql-database.ts'

/** Writes an endpoint that has no configuration yet: legal as it is, not ready, nothing to serve. */
export function insertEndpoint(
  database: SqlDatabase,
  id: string,
  request: CreateEndpointBody,
  principal: Principal,
  nowMs: number,
): void {
  const [count] = database.exec('SELECT count(*) AS endpoints FROM endpoints')
  if (integerOf(count!, 'endpoints') >= limits.endpoints) {
    throw invalidState(`There are ${limits.endpoints} serving endpoints, as many as there may be. Delete one first.`)
  }
  database.exec(
    `INSERT INTO endpoints
      (id, name, creator, creator_kind, created_ms, updated_ms, description, route_optimized, budget_policy_id,
       email_notifications, config_update, active_version, pending_version, last_version)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'NOT_UPDATING', NULL, NULL, 0)`,
    id,
    request.name,
    principal.name,
    principal.kind,
    nowMs,
    nowMs,
    request.description ?? '',
    request.route_optimized ? 1 : 0,
    request.budget_policy_id ?? null,
    JSON.stringify(request.email_notifications ?? null),
  )
  for (const tag of request.tags ?? []) insertTag(database, id, tag)
}

export function refuseTakenName(database: SqlDatabase, name: string): void {
  const [taken] = database.exec('SELECT id FROM endpoints WHERE name = ?', name)
  if (taken) throw alreadyExists(`Serving endpoint with name ${name} already exists`)
}

export function deleteEndpointRow(database: SqlDatabase, id: string): void {
  database.exec('DELETE FROM endpoints WHERE id = ?', id)
}

/** Adds are applied first, so a key that is in both lists is gone afterwards. */
export function writeTags(database: SqlDatabase, id: string, add: readonly TagBody[], remove: readonly string[]): void {
  for (const tag of add) insertTag(database, id, tag)
  for (const key of remove) database.exec('DELETE FROM tags WHERE endpoint_id = ? AND key = ?', id, key)
  const [row] = database.exec('SELECT count(*) AS tags FROM tags WHERE endpoint_id = ?', id)
  const count = integerOf(row!, 'tags')
  if (count > limits.tagsPerEndpoint) {
    throw invalidParameter(
      'add_tags',
      `the endpoint would have ${count} tags; at most ${limits.tagsPerEndpoint} are allowed`,
    )
  }
}

export function replaceGrants(database: SqlDatabase, id: string, grants: readonly Grant[]): void {
  database.exec('DELETE FROM grants WHERE endpoint_id = ?', id)
  mergeGrants(database, id, grants)
}

/** A grantee has one level: the newest. */
export function mergeGrants(database: SqlDatabase, id: string, grants: readonly Grant[]): void {
  for (const { kind, name, level } of grants) {
    database.exec(
      `INSERT INTO grants (endpoint_id, kind, name, level) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET level = excluded.level`,
      id,
      kind,
      name,
      level,
    )
  }
}

export function writeNotifications(database: SqlDatabase, id: string, notifications: EmailNotifications | null): void {
  database.exec('UPDATE endpoints SET email_notifications = ? WHERE id = ?', JSON.stringify(notifications), id)
}

export function markUpdated(database: SqlDatabase, id: Endpoint['id'], nowMs: number): void {
  database.exec('UPDATE endpoints SET updated_ms = ? WHERE id = ?', nowMs, id)
}

function insertTag(database: SqlDatabase, id: string, tag: TagBody): void {
  database.exec(
    'INSERT INTO tags (endpoint_id, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    id,
    tag.key,
    tag.value ?? null,
  )
}
