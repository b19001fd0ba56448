/** The native API's endpoints: create, read, update, delete, tags, logs, the OpenAPI document. */
import { doesNotExist, exhausted } from '#contracts/errors.ts'
import type { ReplicaState, StoredBytes } from '#contracts/host.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import type { Endpoint, ServedEntity } from '#contracts/registry.ts'
import { openapiDocument } from '#src/gateway/openapi.ts'
import {
  createEndpointSchema,
  updateConfigSchema,
  updateNotificationsSchema,
  updateTagsSchema,
} from '#src/registry/endpoint-schema.ts'
import { endpointDetail, endpointSummary, tagList } from '#src/registry/endpoint-view.ts'
import { permissionOf, permits } from '#src/registry/permission-view.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, json, originOf } from '../call.ts'
import { endpointFor } from '../endpoint-access.ts'
import { specOf } from '../specs.ts'

export async function createEndpoint(call: Call): Promise<Response> {
  const body = parseBody(createEndpointSchema, await jsonBody(call))
  if (call.view.endpoints.size >= limits.endpoints) {
    throw exhausted(`There are ${limits.endpoints} endpoints, as many as there may be; delete one first.`, 60)
  }
  return detailOf(call, await call.services.registry.createEndpoint(body, call.principal))
}

export function listEndpoints(call: Call): Response {
  const visible = [...call.view.endpoints.values()].filter((endpoint) =>
    permits(permissionOf(endpoint, call.principal), 'CAN_VIEW'),
  )
  if (visible.length === 0) return json({})
  return json({ endpoints: visible.map((endpoint) => endpointSummary(endpoint, factsOf(call, endpoint))) })
}

export async function getEndpoint(call: Call): Promise<Response> {
  const known = endpointFor(call, call.params.name!, 'CAN_VIEW')
  if (known.configUpdate !== 'IN_PROGRESS') return shownEndpoint(call, known)
  // Who waits for a deployment sees its end when it comes, not when the snapshot is next renewed.
  call.services.views.expire()
  const current = { ...call, view: await call.services.views.current() }
  return shownEndpoint(current, endpointFor(current, known.name, 'CAN_VIEW'))
}

export async function deleteEndpoint(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  await call.services.registry.deleteEndpoint(endpoint.name)
  await Promise.allSettled(specsOf(call, endpoint).map(({ spec }) => call.services.host.douse(spec)))
  return json({})
}

export async function updateConfig(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  const body = parseBody(updateConfigSchema, await jsonBody(call))
  return detailOf(call, await call.services.registry.updateConfig(endpoint.name, body, call.principal))
}

export async function updateTags(call: Call): Promise<Response> {
  const { name } = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  const { add_tags = [], delete_tags = [] } = parseBody(updateTagsSchema, await jsonBody(call))
  return json({ tags: tagList(await call.services.registry.setTags(name, add_tags, delete_tags)) })
}

export async function updateNotifications(call: Call): Promise<Response> {
  const { name } = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  const { email_notifications } = parseBody(updateNotificationsSchema, await jsonBody(call))
  const updated = await call.services.registry.setNotifications(name, email_notifications ?? null)
  return json({ name, email_notifications: updated.emailNotifications ?? {} })
}

export function getOpenapi(call: Call): Response {
  const { name, active, pending } = endpointFor(call, call.params.name!, 'CAN_VIEW')
  return json(
    openapiDocument({
      name,
      config: active ?? pending,
      origin: originOf(call),
      versionOf: (entity) => versionOf(call, entity),
    }),
  )
}

export async function getBuildLogs(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  const entity = entityOf(endpoint, call.params.entity!)
  return json({ logs: await call.services.registry.buildLog(endpoint.name, entity.name) })
}

export async function getServiceLogs(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_MANAGE')
  const entity = entityOf(endpoint, call.params.entity!)
  const found = specsOf(call, endpoint).find((candidate) => candidate.entity.name === entity.name)
  return json({ logs: found ? await call.services.host.logs(found.spec) : '' })
}

/** A served entity by name, of the active configuration first. @throws {ServingError} 404 that lists the names there are. */
export function entityOf(endpoint: Endpoint, name: string): ServedEntity {
  const entities = [...(endpoint.active?.servedEntities ?? []), ...(endpoint.pending?.servedEntities ?? [])]
  const entity = entities.find((candidate) => candidate.name === name)
  if (entity) return entity
  const names = [...new Set(entities.map((candidate) => candidate.name))].join(', ')
  throw doesNotExist(`Serving endpoint ${endpoint.name} has no served entity ${name} (it has ${names || 'none'}).`)
}

export function versionOf(call: Pick<Call, 'view'>, entity: ServedEntity) {
  return call.view.versions[`${entity.entityName}/${entity.entityVersion}`]
}

function specsOf(call: Call, endpoint: Endpoint) {
  const entities = [...(endpoint.active?.servedEntities ?? []), ...(endpoint.pending?.servedEntities ?? [])]
  return entities.flatMap((entity) => {
    const version = versionOf(call, entity)
    return version ? [{ entity, spec: specOf(endpoint, entity, version, call.services.env.IDLE_MS) }] : []
  })
}

/** What only the host knows: that an entity is scaled to zero, what memory it takes, or how far the download of its weights is. */
async function liveFacts(call: Call, endpoint: Endpoint) {
  const { host } = call.services
  const messages = new Map<ServedEntity, string>()
  const asides = new Map<ServedEntity, string>()
  await Promise.all(
    specsOf(call, endpoint).map(async ({ entity, spec }) => {
      const { state, memory } = await host.state(spec)
      // A download can only be under way while somebody waits for the model.
      const fetching = state === 'loading' ? (await host.stored(spec.manifest)).fetching : []
      const isServing = endpoint.active?.servedEntities.includes(entity) ?? false
      if (fetching.length > 0) messages.set(entity, fetching.map(fetchingText).join('; '))
      else if (state === 'cold' && isServing) messages.set(entity, 'Scaled to zero')
      else if (memory && isServing) asides.set(entity, memoryText(memory))
    }),
  )
  return {
    liveMessage: (_endpoint: Endpoint, entity: ServedEntity) => messages.get(entity),
    liveAside: (_endpoint: Endpoint, entity: ServedEntity) => asides.get(entity),
  }
}

function memoryText({ heapBytes, weightsBytes }: NonNullable<ReplicaState['memory']>): string {
  return `warm, ${mib(heapBytes)} MiB of engine memory with ${mib(weightsBytes)} MiB of weights`
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}

function fetchingText({ artifact, bytesDone, bytes, bytesPerSecond }: StoredBytes['fetching'][number]): string {
  return `Fetching ${artifact}: ${mib(bytesDone)} of ${mib(bytes)} MiB (${mib(bytesPerSecond)} MiB/s)`
}

async function shownEndpoint(call: Call, endpoint: Endpoint): Promise<Response> {
  return json(endpointDetail(endpoint, { ...factsOf(call, endpoint), ...(await liveFacts(call, endpoint)) }))
}

async function detailOf(call: Call, endpoint: Endpoint): Promise<Response> {
  return json(endpointDetail(endpoint, { ...factsOf(call, endpoint), versions: await versionsFor(call, endpoint) }))
}

/** The versions a fresh endpoint names may be newer than this isolate's snapshot. */
async function versionsFor(call: Call, endpoint: Endpoint) {
  const entities = [...(endpoint.active?.servedEntities ?? []), ...(endpoint.pending?.servedEntities ?? [])]
  const known = entities.every((entity) => versionOf(call, entity))
  return known ? call.view.versions : (await call.services.views.current()).versions
}

function factsOf(call: Call, endpoint: Endpoint) {
  return {
    permission: permissionOf(endpoint, call.principal) ?? 'CAN_VIEW',
    host: originOf(call),
    versions: call.view.versions,
  } as const
}
