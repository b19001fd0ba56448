/**
 * The registry: who may call, what models there are, what endpoints serve and who may do what with them. One database,
 * one writer, no waiting: every method is a transaction, and every change raises the revision within it, so that a
 * dispatcher which has seen revision n knows everything up to n.
 *
 * Time and ids come from outside, so that a test, or a replay, decides them.
 */
import type {
  Endpoint,
  Grant,
  ModelVersion,
  Principal,
  RegisteredModel,
  RegistrySnapshot,
  TokenRecord,
} from '#contracts/registry.ts'
import { appendBuildLog, readBuildLog } from './build-logs.ts'
import { createEndpoint, updateConfig } from './configure-endpoint.ts'
import { entityFailed, entityReady, type PendingDeployment, readPendingDeployments } from './deployments.ts'
import type { ConfigBody, CreateEndpointBody, EmailNotifications, TagBody } from './endpoint-schema.ts'
import { raiseRevision, readRevision, readStarters, writeStarters } from './meta.ts'
import { migrate } from './migrate.ts'
import * as models from './models.ts'
import { readEndpoint, readEndpointById, readEndpoints } from './read-endpoints.ts'
import type { SqlDatabase } from './sql-database.ts'
import * as tokens from './tokens.ts'
import { readServedVersions, readVersions } from './versions.ts'
import * as endpoints from './write-endpoints.ts'

export interface RegistryOptions {
  nowMs(): number
  /** 32 hex digits, never the same twice. */
  newId(): string
}

export type NewToken = Pick<TokenRecord, 'hash' | 'principal' | 'comment' | 'expiresMs'>

export class Registry {
  readonly #database: SqlDatabase
  readonly #options: RegistryOptions

  /** @throws {ServingError} 500 where a newer glim wrote the database. */
  constructor(database: SqlDatabase, options: RegistryOptions) {
    this.#database = database
    this.#options = options
    migrate(database, options.nowMs())
  }

  // Tokens

  createToken(request: NewToken): TokenRecord {
    const token = { ...request, tokenId: this.#options.newId(), createdMs: this.#options.nowMs() }
    this.#change((database) => tokens.insertToken(database, token))
    return token
  }

  listTokens(): TokenRecord[] {
    return tokens.readTokens(this.#database)
  }

  revokeToken(tokenId: string): void {
    this.#change((database) => tokens.deleteToken(database, tokenId))
  }

  // Models

  registerVersion(version: models.NewModelVersion): ModelVersion {
    return this.#database.transaction(() => {
      const registered = models.registerVersion(this.#database, version, this.#options.nowMs())
      if (registered.isNew) raiseRevision(this.#database)
      return registered.version
    })
  }

  getModel(name: string): RegisteredModel {
    return models.readModel(this.#database, name)
  }

  listModels(): RegisteredModel[] {
    return models.readModels(this.#database)
  }

  getVersion(name: string, version: string): ModelVersion {
    return models.readVersion(this.#database, name, version)
  }

  listVersions(name: string): ModelVersion[] {
    models.readModel(this.#database, name)
    return readVersions(this.#database, name)
  }

  /** The version that `NAME/VERSION`, `NAME@ALIAS`, or a name with a version beside it, stands for now. */
  resolve(entityName: string, entityVersion?: string): ModelVersion {
    const fields = { name: 'entity_name', version: 'entity_version' }
    return models.resolveVersion(this.#database, entityName, entityVersion, fields)
  }

  deleteVersion(name: string, version: string): void {
    this.#change((database) => models.deleteVersion(database, name, version))
  }

  deleteModel(name: string): void {
    this.#change((database) => models.deleteModel(database, name))
  }

  setAlias(name: string, alias: string, version: string): void {
    this.#change((database) => models.writeAlias(database, name, alias, version))
  }

  deleteAlias(name: string, alias: string): void {
    this.#change((database) => models.deleteAlias(database, name, alias))
  }

  // Endpoints

  /** Accepts the endpoint with version 1 of its configuration pending, or, given none, with nothing to serve. */
  createEndpoint(request: CreateEndpointBody, principal: Principal): Endpoint {
    const facts = { principal, nowMs: this.#options.nowMs() }
    return this.#change((database) => createEndpoint(database, this.#options.newId(), request, facts))
  }

  /** Accepts a new configuration as pending; the active one serves until all of the new one is up. */
  updateConfig(name: string, config: ConfigBody, principal: Principal): Endpoint {
    const facts = { principal, nowMs: this.#options.nowMs() }
    return this.#change((database) => updateConfig(database, name, config, facts))
  }

  deleteEndpoint(name: string): void {
    this.#change((database) => endpoints.deleteEndpointRow(database, readEndpoint(database, name).id))
  }

  getEndpoint(name: string): Endpoint {
    return readEndpoint(this.#database, name)
  }

  getEndpointById(id: string): Endpoint {
    return readEndpointById(this.#database, id)
  }

  listEndpoints(): Endpoint[] {
    return readEndpoints(this.#database)
  }

  /** Adds, then deletes; the endpoint that comes back has its tags sorted by key. */
  setTags(name: string, add: readonly TagBody[], remove: readonly string[]): Endpoint {
    return this.#edit(name, (database, id) => endpoints.writeTags(database, id, add, remove))
  }

  setNotifications(name: string, notifications: EmailNotifications | null): Endpoint {
    return this.#edit(name, (database, id) => endpoints.writeNotifications(database, id, notifications))
  }

  /** Replaces all direct grants. */
  setGrants(id: string, grants: readonly Grant[]): Endpoint {
    return this.#grant(id, (database) => endpoints.replaceGrants(database, id, grants))
  }

  /** Grants these and leaves other grantees alone. */
  mergeGrants(id: string, grants: readonly Grant[]): Endpoint {
    return this.#grant(id, (database) => endpoints.mergeGrants(database, id, grants))
  }

  // Deployments

  pendingDeployments(): PendingDeployment[] {
    return readPendingDeployments(this.#database)
  }

  /** Returns whether this was news: false about a deployment that is over or replaced. */
  entityReady(endpointId: string, configVersion: number, entity: string): boolean {
    return this.#changeIf((database) => entityReady(database, endpointId, configVersion, entity))
  }

  entityFailed(endpointId: string, configVersion: number, entity: string, message: string): boolean {
    return this.#changeIf((database) => entityFailed(database, endpointId, configVersion, entity, message))
  }

  appendBuildLog(endpointId: string, configVersion: number, entity: string, text: string): void {
    this.#database.transaction(() =>
      appendBuildLog(this.#database, endpointId, configVersion, entity, text, this.#options.nowMs()),
    )
  }

  buildLog(endpointName: string, entity: string): string {
    return readBuildLog(this.#database, readEndpoint(this.#database, endpointName), entity)
  }

  // The whole

  revision(): number {
    return readRevision(this.#database)
  }

  starters(): readonly string[] | null {
    return readStarters(this.#database)
  }

  setStarters(names: readonly string[]): void {
    this.#change((database) => writeStarters(database, names))
  }

  /** Everything that a dispatcher needs, as of one revision. A token may still expire while the snapshot is held. */
  snapshot(): RegistrySnapshot {
    return this.#database.transaction(() => ({
      revision: readRevision(this.#database),
      tokens: tokens.readLiveTokens(this.#database, this.#options.nowMs()),
      endpoints: readEndpoints(this.#database),
      versions: Object.fromEntries(
        readServedVersions(this.#database).map((version) => [`${version.name}/${version.version}`, version]),
      ),
      starters: readStarters(this.#database),
    }))
  }

  #edit(name: string, body: (database: SqlDatabase, id: string) => void): Endpoint {
    return this.#change((database) => {
      const { id } = readEndpoint(database, name)
      body(database, id)
      endpoints.markUpdated(database, id, this.#options.nowMs())
      return readEndpointById(database, id)
    })
  }

  #grant(id: string, body: (database: SqlDatabase) => void): Endpoint {
    return this.#change((database) => {
      readEndpointById(database, id)
      body(database)
      return readEndpointById(database, id)
    })
  }

  #change<T>(body: (database: SqlDatabase) => T): T {
    return this.#database.transaction(() => {
      const result = body(this.#database)
      raiseRevision(this.#database)
      return result
    })
  }

  #changeIf(body: (database: SqlDatabase) => boolean): boolean {
    return this.#database.transaction(() => {
      const changed = body(this.#database)
      if (changed) raiseRevision(this.#database)
      return changed
    })
  }
}
