/**
 * One invocation from an authorised request to a settled reply, in its fixed order: choose the entity, translate the body,
 * run under the deadline, record. Whatever happens, exactly one row is recorded.
 */
import type { EndpointSpec } from '#contracts/bundle.ts'
import { deadlineExceeded, doesNotExist, isServingError, ServingError, unavailable } from '#contracts/errors.ts'
import type { Host } from '#contracts/host.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import { limits } from '#contracts/limits.ts'
import type { Endpoint, ModelVersion, Principal, ServedEntity } from '#contracts/registry.ts'
import type { UsageSink } from '#contracts/usage.ts'

export interface ServeOptions {
  host: Host
  sink: UsageSink
  now(): number
  /** The served entity that takes this request. */
  choose(endpoint: Endpoint): ServedEntity
  versionOf(entity: ServedEntity): ModelVersion | undefined
  specOf(endpoint: Endpoint, entity: ServedEntity, version: ModelVersion): EndpointSpec
}

export interface Invocation {
  requestId: string
  clientRequestId: string | null
  endpoint: Endpoint
  principal: Principal
  /** Aborts when the caller goes away. */
  signal: AbortSignal
  /** Reads the caller's body as a request to the chosen version. */
  translate(version: ModelVersion): InvocationRequest
}

export interface Served {
  entity: ServedEntity
  version: ModelVersion
  reply: InvocationReply
}

/** @throws {ServingError} */
export async function serve(invocation: Invocation, options: ServeOptions): Promise<Served> {
  const { endpoint } = invocation
  const startedMs = options.now()
  let entity: ServedEntity | null = null
  let version: ModelVersion | undefined
  let reply: InvocationReply | undefined
  let status = 200
  try {
    requireReady(endpoint)
    entity = options.choose(endpoint)
    version = options.versionOf(entity)
    if (!version) throw unavailable(`The model version ${entity.entityName}/${entity.entityVersion} is being registered.`, 1)
    const request = invocation.translate(version)
    const spec = options.specOf(endpoint, entity, version)
    reply = await withDeadline((signal) => options.host.run(spec, request, signal), invocation.signal)
    return { entity, version, reply }
  } catch (error) {
    status = isServingError(error) ? error.status : 500
    throw error
  } finally {
    options.sink.record({
      requestId: invocation.requestId,
      clientRequestId: invocation.clientRequestId,
      endpointId: endpoint.id,
      endpoint: endpoint.name,
      entity: entity?.name ?? null,
      model: entity ? `${entity.entityName}/${entity.entityVersion}` : null,
      requester: invocation.principal.name,
      startedMs,
      durationMs: options.now() - startedMs,
      status,
      promptTokens: reply?.usage.promptTokens ?? 0,
      completionTokens: 0,
      runMs: reply?.usage.runMs ?? 0,
      loadMs: reply?.usage.loadMs ?? 0,
    })
  }
}

function requireReady(endpoint: Endpoint): void {
  if (endpoint.active) return
  if (endpoint.configUpdate === 'IN_PROGRESS') throw unavailable(`Serving endpoint ${endpoint.name} is coming up.`, 1)
  const why = endpoint.pending ? 'its deployment failed' : 'it has no served entities'
  throw doesNotExist(`Serving endpoint ${endpoint.name} cannot answer: ${why}.`)
}

/** The work ends when the caller goes away or the execution limit passes, whichever is first. */
async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>, caller: AbortSignal): Promise<T> {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), limits.executionMs)
  try {
    return await work(AbortSignal.any([caller, deadline.signal]))
  } catch (error) {
    if (deadline.signal.aborted) throw deadlineExceeded(limits.executionMs)
    if (caller.aborted) throw new ServingError({ code: 'CANCELLED', status: 499, message: 'The caller went away.' })
    throw error
  } finally {
    clearTimeout(timer)
  }
}
