/** What becomes of an invocation, gathered while it runs and recorded once, as its one row in the log. */
import type { EndpointSpec } from '#contracts/bundle.ts'
import { isServingError, ServingError } from '#contracts/errors.ts'
import type { Host } from '#contracts/host.ts'
import type { Endpoint, ModelVersion, Principal, ServedEntity } from '#contracts/registry.ts'
import type { InvocationRow } from '#contracts/usage.ts'

export interface ServeOptions {
  host: Host
  record(row: InvocationRow): void
  now(): number
  /** The served entity that takes this request. */
  choose(endpoint: Endpoint): ServedEntity
  versionOf(entity: ServedEntity): ModelVersion | undefined
  specOf(endpoint: Endpoint, entity: ServedEntity, version: ModelVersion): EndpointSpec
}

/** Who asks what endpoint. */
export interface Inquiry {
  requestId: string
  clientRequestId: string | null
  endpoint: Endpoint
  principal: Principal
}

export interface Outcome {
  startedMs: number
  entity: ServedEntity | null
  status: number
  promptTokens: number
  completionTokens: number
  runMs: number
  loadMs: number
}

export function beginOutcome(startedMs: number): Outcome {
  return { startedMs, entity: null, status: 200, promptTokens: 0, completionTokens: 0, runMs: 0, loadMs: 0 }
}

/** What a failure counts as: whatever broke after the caller had gone broke because it had. */
export function failureOf(error: unknown, isAborted: boolean, outcome: Outcome): unknown {
  const failure = isAborted ? callerGone() : error
  outcome.status = isServingError(failure) ? failure.status : 500
  return failure
}

export function callerGone(): ServingError {
  return new ServingError({ code: 'CANCELLED', status: 499, message: 'The caller went away.' })
}

export function rowOf(inquiry: Inquiry, outcome: Outcome, endedMs: number): InvocationRow {
  const { endpoint, requestId, clientRequestId, principal } = inquiry
  const { entity, startedMs, status, promptTokens, completionTokens, runMs, loadMs } = outcome
  return {
    requestId,
    clientRequestId,
    endpointId: endpoint.id,
    endpoint: endpoint.name,
    entity: entity?.name ?? null,
    model: entity ? `${entity.entityName}/${entity.entityVersion}` : null,
    requester: principal.name,
    startedMs,
    durationMs: endedMs - startedMs,
    status,
    promptTokens,
    completionTokens,
    runMs,
    loadMs,
  }
}
