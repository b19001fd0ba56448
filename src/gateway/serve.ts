/**
 * One invocation from an authorised request to a settled reply, in its fixed order: choose the entity, translate the body,
 * run, record. The execution limit is the host's, which ends what runs too long. Whatever happens, exactly one row is recorded.
 */
import type { EndpointSpec } from '#contracts/bundle.ts'
import { doesNotExist, isServingError, ServingError, unavailable } from '#contracts/errors.ts'
import type { Host } from '#contracts/host.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
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

export interface Invocation {
  requestId: string
  clientRequestId: string | null
  endpoint: Endpoint
  principal: Principal
  /**
   * Whether the caller has gone away. Asked only once something failed: making a signal for every request and handing it on costs a
   * tenth of what a request may cost the dispatcher, and when the runtime drops a request it drops what the request asked for.
   */
  isAborted(): boolean
  /** Reads the caller's body as a request to the chosen version; sets `clientRequestId` where the body has one. */
  translate(version: ModelVersion): Promise<InvocationRequest>
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
    if (!version)
      throw unavailable(`The model version ${entity.entityName}/${entity.entityVersion} is being registered.`, 1)
    const request = await invocation.translate(version)
    const spec = options.specOf(endpoint, entity, version)
    reply = await options.host.run(spec, request)
    return { entity, version, reply }
  } catch (error) {
    const failure = invocation.isAborted() ? callerGone() : error
    status = isServingError(failure) ? failure.status : 500
    throw failure
  } finally {
    options.record({
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

/** @throws {ServingError} 503 while the endpoint's first configuration comes up, 404 where it has none that answers. */
export function requireReady(endpoint: Endpoint): void {
  if (endpoint.active) return
  if (endpoint.configUpdate === 'IN_PROGRESS') throw unavailable(`Serving endpoint ${endpoint.name} is coming up.`, 1)
  const why = endpoint.pending ? 'its deployment failed' : 'it has no served entities'
  throw doesNotExist(`Serving endpoint ${endpoint.name} cannot answer: ${why}.`)
}

function callerGone(): ServingError {
  return new ServingError({ code: 'CANCELLED', status: 499, message: 'The caller went away.' })
}
