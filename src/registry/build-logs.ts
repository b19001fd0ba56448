/**
 * What happened while an entity was brought up, line by line. A build log lives as long as the configuration it belongs
 * to, and reports, unlike everything else here, are no change of the registry: they leave the revision alone, so that a
 * talkative build does not make every dispatcher read its snapshot again.
 */
import { doesNotExist } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Endpoint } from '#contracts/registry.ts'
import { integerOf, textOf } from './columns.ts'
import type { SqlDatabase } from './sql-database.ts'

/** Adds lines at the end; the oldest go once there are `limits.serviceLogLines`. Lines for a replaced configuration are dropped. */
export function appendBuildLog(
  database: SqlDatabase,
  id: string,
  configVersion: number,
  entity: string,
  text: string,
  nowMs: number,
): void {
  const entityKey = [id, configVersion, entity] as const
  const [known] = database.exec(
    'SELECT name FROM served_entities WHERE endpoint_id = ? AND config_version = ? AND name = ?',
    ...entityKey,
  )
  if (!known) return
  for (const line of text.split('\n')) {
    database.exec(
      'INSERT INTO build_logs (endpoint_id, config_version, entity, at_ms, text) VALUES (?, ?, ?, ?, ?)',
      ...entityKey,
      nowMs,
      line,
    )
  }
  database.exec(
    `DELETE FROM build_logs WHERE endpoint_id = ? AND config_version = ? AND entity = ? AND line <= (
      SELECT line FROM build_logs WHERE endpoint_id = ? AND config_version = ? AND entity = ?
        ORDER BY line DESC LIMIT 1 OFFSET ?)`,
    ...entityKey,
    ...entityKey,
    limits.serviceLogLines,
  )
}

/**
 * The log of the newest configuration that has the entity, one `time text` line each.
 *
 * @throws {ServingError} 404 where no configuration has it; final.
 */
export function readBuildLog(database: SqlDatabase, endpoint: Endpoint, entity: string): string {
  const config = [endpoint.pending, endpoint.active].find((each) =>
    each?.servedEntities.some(({ name }) => name === entity),
  )
  if (!config) throw doesNotExist(`Serving endpoint ${endpoint.name} has no served entity ${entity}`)
  return database
    .exec(
      'SELECT at_ms, text FROM build_logs WHERE endpoint_id = ? AND config_version = ? AND entity = ? ORDER BY line',
      endpoint.id,
      config.version,
      entity,
    )
    .map((row) => `${new Date(integerOf(row, 'at_ms')).toISOString()} ${textOf(row, 'text')}\n`)
    .join('')
}
