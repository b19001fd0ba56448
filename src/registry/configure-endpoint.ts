/**
 * Accepting what an endpoint is to serve. Everything that can be known to be wrong is refused here, before a row is
 * written; what passes becomes the pending configuration of a deployment.
 */
import { conflict, invalidParameter } from '#contracts/errors.ts'
import type { Endpoint, EndpointConfig, Principal } from '#contracts/registry.ts'
import { beginDeployment } from './deployments.ts'
import type { ConfigBody, CreateEndpointBody } from './endpoint-schema.ts'
import { resolveVersion } from './models.ts'
import { type ConfigPlan, planConfig } from './plan-config.ts'
import { readEndpoint, readEndpointById } from './read-endpoints.ts'
import { refuseUnbuiltConfig, refuseUnbuiltEndpoint } from './refuse-unbuilt.ts'
import type { SqlDatabase } from './sql-database.ts'
import { insertEndpoint, markUpdated, refuseTakenName } from './write-endpoints.ts'

export interface ChangeFacts {
  principal: Principal
  nowMs: number
}

/** @throws {ServingError} 409 where the name is taken, 404 or 400 on what cannot be served, 501 on what is not built; final. */
export function createEndpoint(
  database: SqlDatabase,
  id: Endpoint['id'],
  request: CreateEndpointBody,
  facts: ChangeFacts,
): Endpoint {
  refuseTakenName(database, request.name)
  refuseUnbuiltEndpoint(request)
  const plan = planOf(database, request.config ?? {}, null, 'config.', facts)
  insertEndpoint(database, id, request, facts.principal, facts.nowMs)
  if (plan) beginDeployment(database, id, plan, facts.nowMs)
  return readEndpointById(database, id)
}

/** @throws {ServingError} 409 while another update is under way; the same call succeeds once that has ended. */
export function updateConfig(database: SqlDatabase, name: string, config: ConfigBody, facts: ChangeFacts): Endpoint {
  const { id, active, pending, configUpdate } = readEndpoint(database, name)
  if (configUpdate === 'IN_PROGRESS') {
    throw conflict(
      `Serving endpoint ${name} is being updated to config version ${pending?.version}; update it again once that has ended.`,
    )
  }
  refuseNothing(config)
  // After a failed update the one that serves is the one to change; after a failed first deployment there is only that.
  const plan = planOf(database, config, active ?? pending, '', facts)
  if (!plan) throw invalidParameter('served_entities', `is missing, and serving endpoint ${name} has none yet`)
  beginDeployment(database, id, plan, facts.nowMs)
  markUpdated(database, id, facts.nowMs)
  return readEndpointById(database, id)
}

function planOf(
  database: SqlDatabase,
  config: ConfigBody,
  base: EndpointConfig | null,
  at: string,
  { principal, nowMs }: ChangeFacts,
): ConfigPlan | null {
  refuseUnbuiltConfig(config, at)
  return planConfig(config, {
    base,
    at,
    creator: principal.name,
    nowMs,
    resolve: (name, version, fields) => resolveVersion(database, name, version, fields),
  })
}

function refuseNothing(config: ConfigBody): void {
  const fields = ['served_entities', 'served_models', 'traffic_config', 'auto_capture_config'] as const
  if (fields.some((field) => Object.keys(config[field] ?? {}).length > 0)) return
  throw invalidParameter('body', `expected at least one of ${fields.join(', ')}`)
}
