/** Which of an endpoint's served entities takes an invocation, and what is said where none can. */
import { doesNotExist, unavailable } from '#contracts/errors.ts'
import type { Endpoint, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import type { Outcome, ServeOptions } from './settle.ts'

export interface Target {
  entity: ServedEntity
  version: ModelVersion
}

/** @throws {ServingError} 503 while the endpoint or the version comes up, 404 where nothing answers. */
export function chooseTarget(endpoint: Endpoint, options: ServeOptions, outcome: Outcome): Target {
  requireReady(endpoint)
  const entity = options.choose(endpoint)
  outcome.entity = entity
  const version = options.versionOf(entity)
  if (!version)
    throw unavailable(`The model version ${entity.entityName}/${entity.entityVersion} is being registered.`, 1)
  return { entity, version }
}

/** @throws {ServingError} 503 while the endpoint's first configuration comes up, 404 where it has none that answers. */
export function requireReady(endpoint: Endpoint): void {
  if (endpoint.active) return
  if (endpoint.configUpdate === 'IN_PROGRESS') throw unavailable(`Serving endpoint ${endpoint.name} is coming up.`, 1)
  const why = endpoint.pending ? 'its deployment failed' : 'it has no served entities'
  throw doesNotExist(`Serving endpoint ${endpoint.name} cannot answer: ${why}.`)
}
