/** Rows of model versions: written once, read many times, never changed. */
import type { Capabilities } from '#contracts/capabilities.ts'
import type { Digest } from '#contracts/manifest.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import type { Task } from '#contracts/task.ts'
import { integerOf, jsonOf, textOf } from './columns.ts'
import type { SqlDatabase, SqlRow } from './sql-database.ts'

export function insertVersion(database: SqlDatabase, version: ModelVersion): void {
  database.exec(
    `INSERT INTO versions
      (model, version, manifest, task, graph, options, signature, input_example,
       size_bytes, heap_bytes, capabilities, source, comment, created_ms, creator)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    version.name,
    Number(version.version),
    version.manifest,
    version.task,
    version.graph,
    JSON.stringify(version.options),
    JSON.stringify(version.signature),
    JSON.stringify(version.inputExample ?? null),
    version.sizeBytes,
    version.heapBytes,
    JSON.stringify(version.capabilities ?? null),
    version.source,
    version.comment,
    version.createdMs,
    version.creator,
  )
}

export function findVersion(database: SqlDatabase, model: string, version: string): ModelVersion | null {
  const [row] = database.exec('SELECT * FROM versions WHERE model = ? AND version = ?', model, Number(version))
  return row ? versionFrom(row) : null
}

export function readVersions(database: SqlDatabase, model: string): ModelVersion[] {
  return database.exec('SELECT * FROM versions WHERE model = ? ORDER BY version', model).map(versionFrom)
}

/** The versions that any configuration of any endpoint names, once each. */
export function readServedVersions(database: SqlDatabase): ModelVersion[] {
  return database
    .exec(
      `SELECT versions.* FROM versions
        JOIN (SELECT DISTINCT entity_name, entity_version FROM served_entities) AS served
          ON versions.model = served.entity_name AND versions.version = served.entity_version
        ORDER BY versions.model, versions.version`,
    )
    .map(versionFrom)
}

export function deleteVersionRow(database: SqlDatabase, model: string, version: string): void {
  database.exec('DELETE FROM versions WHERE model = ? AND version = ?', model, Number(version))
}

function versionFrom(row: SqlRow): ModelVersion {
  const capabilities = jsonOf<Capabilities | null>(row, 'capabilities')
  return {
    name: textOf(row, 'model'),
    version: String(integerOf(row, 'version')),
    manifest: textOf(row, 'manifest') as Digest,
    task: textOf(row, 'task') as Task,
    graph: textOf(row, 'graph'),
    options: jsonOf(row, 'options'),
    signature: jsonOf(row, 'signature'),
    inputExample: jsonOf(row, 'input_example'),
    sizeBytes: integerOf(row, 'size_bytes'),
    heapBytes: integerOf(row, 'heap_bytes'),
    ...(capabilities ? { capabilities } : {}),
    source: textOf(row, 'source'),
    comment: textOf(row, 'comment'),
    createdMs: integerOf(row, 'created_ms'),
    creator: textOf(row, 'creator'),
  }
}
