/**
 * Models: a name, immutable versions numbered from 1, and aliases that move. Everything here runs inside a transaction of
 * the `Registry`.
 */
import { alreadyExists, doesNotExist, invalidParameter } from '#contracts/errors.ts'
import type { ModelVersion, RegisteredModel } from '#contracts/registry.ts'
import { integerOf, textOf } from './columns.ts'
import { invalidState } from './invalid-state.ts'
import { checkAlias, checkModelName, checkVersion, parseModelReference } from './model-reference.ts'
import { sameJson } from './same-json.ts'
import type { SqlDatabase, SqlRow } from './sql-database.ts'
import { deleteVersionRow, findVersion, insertVersion, readVersions } from './versions.ts'

/** A version as it is registered; without a number it gets the next one. */
export type NewModelVersion = Omit<ModelVersion, 'version' | 'createdMs'> & { version?: string | undefined }

/**
 * Resolves to the version and whether it is new. The same bytes, task and options under the same number are no change, so
 * that an interrupted import can simply run again.
 *
 * @throws {ServingError} 409 where the number is taken by something else; final.
 */
export function registerVersion(
  database: SqlDatabase,
  given: NewModelVersion,
  nowMs: number,
): { version: ModelVersion; isNew: boolean } {
  const name = checkModelName(given.name, 'name')
  if (given.version !== undefined) {
    const existing = findVersion(database, name, checkVersion(given.version, 'version'))
    if (existing && isSame(existing, given)) return { version: existing, isNew: false }
    if (existing) {
      throw alreadyExists(
        `Model ${name} already has a version ${existing.version} with other content, and versions never change.`,
      )
    }
  }

  database.exec(
    `INSERT INTO models (name, comment, created_ms, updated_ms, creator, last_version) VALUES (?, '', ?, ?, ?, 0)
      ON CONFLICT (name) DO UPDATE SET updated_ms = excluded.updated_ms`,
    name,
    nowMs,
    nowMs,
    given.creator,
  )
  const version = { ...given, version: given.version ?? nextVersion(database, name), createdMs: nowMs }
  insertVersion(database, version)
  // Kept on the model, so that the number of a deleted version never comes back with other bytes.
  database.exec('UPDATE models SET last_version = max(last_version, ?) WHERE name = ?', Number(version.version), name)
  return { version, isNew: true }
}

/** @throws {ServingError} 404; final. */
export function readModel(database: SqlDatabase, name: string): RegisteredModel {
  const [row] = database.exec('SELECT * FROM models WHERE name = ?', name)
  if (!row) throw doesNotExist(`Model ${name} does not exist.`)
  return modelFrom(database, row)
}

export function readModels(database: SqlDatabase): RegisteredModel[] {
  return database.exec('SELECT * FROM models ORDER BY name').map((row) => modelFrom(database, row))
}

/** @throws {ServingError} 404 that names the versions there are; final. */
export function readVersion(database: SqlDatabase, name: string, version: string): ModelVersion {
  const found = /^[0-9]+$/.test(version) ? findVersion(database, name, version) : null
  if (found && found.version === version) return found
  const { versions } = readModel(database, name)
  throw doesNotExist(`Model ${name} has no version ${version} (it has ${versions.join(', ') || 'none'}).`)
}

/** Where the two parts of a reference lie in the request, for errors. */
export interface ReferenceFields {
  name: string
  version: string
}

/**
 * Resolves `NAME/VERSION`, `NAME@ALIAS`, or a plain name with its version beside it. An alias is followed here, once:
 * whoever keeps the result is pinned to the version.
 *
 * @throws {ServingError} 400 on a name that cannot be, 404 where nothing has it; both final.
 */
export function resolveVersion(
  database: SqlDatabase,
  entityName: string,
  entityVersion: string | undefined,
  fields: ReferenceFields,
): ModelVersion {
  const reference = parseModelReference(entityName, fields.name)
  const { name } = reference
  const pinned = reference.alias === undefined ? reference.version : versionOfAlias(database, name, reference.alias)
  if (pinned !== undefined && entityVersion !== undefined && pinned !== entityVersion) {
    throw invalidParameter(fields.version, `${entityVersion} came, and ${entityName} is version ${pinned}`)
  }
  const version = pinned ?? entityVersion
  if (version !== undefined) return readVersion(database, name, version)
  const { versions } = readModel(database, name)
  throw invalidParameter(
    fields.version,
    `is missing; expected a version of model ${name} (it has ${versions.join(', ') || 'none'})`,
  )
}

/** Points the alias at the version, wherever it pointed before. */
export function writeAlias(database: SqlDatabase, name: string, alias: string, version: string): void {
  checkAlias(alias, 'alias')
  readVersion(database, name, version)
  database.exec(
    'INSERT INTO aliases (model, alias, version) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version',
    name,
    alias,
    Number(version),
  )
}

export function deleteAlias(database: SqlDatabase, name: string, alias: string): void {
  versionOfAlias(database, name, alias)
  database.exec('DELETE FROM aliases WHERE model = ? AND alias = ?', name, alias)
}

/** Deletes a version and the aliases that point at it. @throws {ServingError} 400 while an endpoint uses it. */
export function deleteVersion(database: SqlDatabase, name: string, version: string): void {
  readVersion(database, name, version)
  refuseInUse(
    `Model ${name} version ${version}`,
    database.exec(`${usersQuery} AND entity_version = ? ORDER BY endpoints.name`, name, Number(version)),
  )
  deleteVersionRow(database, name, version)
}

/** Deletes a model with all of its versions. @throws {ServingError} 400 while an endpoint uses one. */
export function deleteModel(database: SqlDatabase, name: string): void {
  readModel(database, name)
  refuseInUse(`Model ${name}`, database.exec(`${usersQuery} ORDER BY endpoints.name`, name))
  database.exec('DELETE FROM models WHERE name = ?', name)
}

const usersQuery = `SELECT DISTINCT endpoints.name FROM served_entities
  JOIN endpoints ON endpoints.id = served_entities.endpoint_id WHERE entity_name = ?`

function refuseInUse(what: string, users: readonly SqlRow[]): void {
  if (users.length === 0) return
  const names = users.map((row) => textOf(row, 'name'))
  throw invalidState(`${what} is still used by the serving endpoint${names.length > 1 ? 's' : ''} ${names.join(', ')}.`)
}

function versionOfAlias(database: SqlDatabase, name: string, alias: string): string {
  const { aliases } = readModel(database, name)
  if (Object.hasOwn(aliases, alias)) return aliases[alias]!
  throw doesNotExist(`Model ${name} has no alias ${alias} (it has ${Object.keys(aliases).join(', ') || 'none'}).`)
}

function nextVersion(database: SqlDatabase, name: string): string {
  const [row] = database.exec('SELECT last_version FROM models WHERE name = ?', name)
  return String(integerOf(row!, 'last_version') + 1)
}

function isSame(existing: ModelVersion, given: NewModelVersion): boolean {
  return (
    existing.manifest === given.manifest &&
    existing.task === given.task &&
    existing.graph === given.graph &&
    sameJson(existing.options, given.options)
  )
}

function modelFrom(database: SqlDatabase, row: SqlRow): RegisteredModel {
  const name = textOf(row, 'name')
  const aliases = database.exec('SELECT alias, version FROM aliases WHERE model = ? ORDER BY alias', name)
  return {
    name,
    comment: textOf(row, 'comment'),
    createdMs: integerOf(row, 'created_ms'),
    updatedMs: integerOf(row, 'updated_ms'),
    creator: textOf(row, 'creator'),
    versions: readVersions(database, name).map((version) => version.version),
    aliases: Object.fromEntries(aliases.map((each) => [textOf(each, 'alias'), String(integerOf(each, 'version'))])),
  }
}
