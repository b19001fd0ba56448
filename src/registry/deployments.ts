/**
 * The state machine of an endpoint's configuration. Its state is nothing but rows, so a restart resumes where it stood:
 *
 *   begin    →  pending, IN_PROGRESS, all entities CREATING; what was active serves on
 *   ready    →  that entity READY; with the last one pending becomes active and NOT_UPDATING in the same transaction
 *   failed   →  UPDATE_FAILED, that entity FAILED with its message, the rest ABORTED; pending stays, to be shown
 *   begin    →  after any of these but IN_PROGRESS; a failed pending is dropped
 *
 * Version numbers only grow, a failed one is not given again. News about a deployment that is no longer in progress is
 * ignored: it comes from work that was started for a configuration that has been replaced.
 */
import type { Endpoint, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import { integerOf, textOf } from './columns.ts'
import type { ConfigPlan } from './plan-config.ts'
import { entityFrom } from './read-endpoints.ts'
import type { SqlDatabase } from './sql-database.ts'
import { findVersion } from './versions.ts'

/** An entity that waits to be brought up. */
export interface PendingDeployment {
  endpointId: string
  endpointName: string
  configVersion: number
  entity: ServedEntity
  model: ModelVersion
}

/** Makes the plan the endpoint's pending configuration. */
export function beginDeployment(database: SqlDatabase, id: Endpoint['id'], plan: ConfigPlan, nowMs: number): void {
  database.exec(
    `DELETE FROM endpoint_configs WHERE endpoint_id = ?
      AND version = (SELECT pending_version FROM endpoints WHERE endpoints.id = endpoint_id)`,
    id,
  )
  const [endpoint] = database.exec(
    `UPDATE endpoints SET last_version = last_version + 1, pending_version = last_version + 1, config_update = 'IN_PROGRESS'
      WHERE id = ? RETURNING pending_version`,
    id,
  )
  const version = integerOf(endpoint!, 'pending_version')
  database.exec(
    'INSERT INTO endpoint_configs (endpoint_id, version, started_ms, routes, auto_capture) VALUES (?, ?, ?, ?, ?)',
    id,
    version,
    nowMs,
    JSON.stringify(plan.routes),
    plan.autoCapture === undefined ? null : JSON.stringify(plan.autoCapture),
  )
  for (const [position, entity] of plan.servedEntities.entries()) insertEntity(database, id, version, position, entity)
}

/** Everything that must be brought up, oldest deployment first; asked after each change and after a restart. */
export function readPendingDeployments(database: SqlDatabase): PendingDeployment[] {
  const rows = database.exec(
    `SELECT served_entities.*, endpoints.name AS endpoint_name FROM endpoints
      JOIN endpoint_configs ON endpoint_configs.endpoint_id = endpoints.id AND endpoint_configs.version = pending_version
      JOIN served_entities ON served_entities.endpoint_id = endpoints.id AND config_version = pending_version
      WHERE config_update = 'IN_PROGRESS' AND state = 'DEPLOYMENT_CREATING'
      ORDER BY started_ms, endpoints.name, position`,
  )
  return rows.map((row) => {
    const entity = entityFrom(row)
    return {
      endpointId: textOf(row, 'endpoint_id'),
      endpointName: textOf(row, 'endpoint_name'),
      configVersion: integerOf(row, 'config_version'),
      entity,
      model: findVersion(database, entity.entityName, entity.entityVersion)!,
    }
  })
}

/** Returns whether this changed anything. */
export function entityReady(database: SqlDatabase, id: string, configVersion: number, entity: string): boolean {
  if (!isInProgress(database, id, configVersion)) return false
  const [changed] = database.exec(
    `UPDATE served_entities SET state = 'DEPLOYMENT_READY', state_message = ''
      WHERE endpoint_id = ? AND config_version = ? AND name = ? AND state = 'DEPLOYMENT_CREATING' RETURNING name`,
    id,
    configVersion,
    entity,
  )
  if (!changed) return false
  const [waiting] = database.exec(
    `SELECT name FROM served_entities WHERE endpoint_id = ? AND config_version = ? AND state <> 'DEPLOYMENT_READY' LIMIT 1`,
    id,
    configVersion,
  )
  if (!waiting) activate(database, id, configVersion)
  return true
}

/** Returns whether this changed anything. */
export function entityFailed(
  database: SqlDatabase,
  id: string,
  configVersion: number,
  entity: string,
  message: string,
): boolean {
  if (!isInProgress(database, id, configVersion)) return false
  const [changed] = database.exec(
    `UPDATE served_entities SET state = 'DEPLOYMENT_FAILED', state_message = ?
      WHERE endpoint_id = ? AND config_version = ? AND name = ? AND state = 'DEPLOYMENT_CREATING' RETURNING name`,
    message,
    id,
    configVersion,
    entity,
  )
  if (!changed) return false
  database.exec(
    `UPDATE served_entities SET state = 'DEPLOYMENT_ABORTED', state_message = ?
      WHERE endpoint_id = ? AND config_version = ? AND state = 'DEPLOYMENT_CREATING'`,
    `Stopped because served entity ${entity} failed.`,
    id,
    configVersion,
  )
  database.exec("UPDATE endpoints SET config_update = 'UPDATE_FAILED' WHERE id = ?", id)
  return true
}

function activate(database: SqlDatabase, id: string, configVersion: number): void {
  database.exec(
    `UPDATE endpoints SET active_version = ?, pending_version = NULL, config_update = 'NOT_UPDATING' WHERE id = ?`,
    configVersion,
    id,
  )
  database.exec('DELETE FROM endpoint_configs WHERE endpoint_id = ? AND version <> ?', id, configVersion)
}

function isInProgress(database: SqlDatabase, id: string, configVersion: number): boolean {
  const [row] = database.exec(
    "SELECT id FROM endpoints WHERE id = ? AND pending_version = ? AND config_update = 'IN_PROGRESS'",
    id,
    configVersion,
  )
  return row !== undefined
}

function insertEntity(
  database: SqlDatabase,
  id: string,
  version: number,
  position: number,
  entity: ServedEntity,
): void {
  database.exec(
    `INSERT INTO served_entities
      (endpoint_id, config_version, name, position, entity_name, entity_version, echo, scale_to_zero, creator,
       created_ms, state, state_message)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    version,
    entity.name,
    position,
    entity.entityName,
    Number(entity.entityVersion),
    JSON.stringify(entity.echo),
    entity.scaleToZero ? 1 : 0,
    entity.creator,
    entity.createdMs,
    entity.state,
    entity.stateMessage,
  )
}
