/** Queries: the native dialect, OpenAI's embeddings, the Open Inference Protocol. */
import { badRequest, doesNotExist, notBuilt } from '#contracts/errors.ts'
import type { InvocationRequest } from '#contracts/invocation.ts'
import { limits } from '#contracts/limits.ts'
import type { Endpoint, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import { requireReady } from '#src/gateway/choose-target.ts'
import { csvRequest, isEmbeddingsBody, nativeReply, nativeRequest } from '#src/gateway/dialects/native.ts'
import { isGenerationBody } from '#src/gateway/dialects/native-generation.ts'
import {
  openInferenceMetadata,
  openInferenceReply,
  openInferenceRequest,
} from '#src/gateway/dialects/open-inference.ts'
import { embeddingsReply, embeddingsRequest } from '#src/gateway/dialects/openai-embeddings.ts'
import { isRecord } from '#src/gateway/enforce-schema.ts'
import { describe } from '#src/gateway/json-tensor.ts'
import { bodyFormat, decodeText, parseJson, readBytes } from '#src/gateway/read-body.ts'
import { type Invocation, type Served, serve } from '#src/gateway/serve.ts'
import { splitTraffic } from '#src/policies/split.ts'
import { permissionOf, permits } from '#src/registry/permission-view.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, identifiedJson, json } from '../call.ts'
import { endpointFor } from '../endpoint-access.ts'
import { serveOptions } from '../serve-options.ts'
import { entityOf, versionOf } from './endpoints.ts'
import { generatesText, invokeGeneration } from './generation.ts'

/** POST /serving-endpoints/{name}/invocations and …/served-models/{entity}/invocations */
export async function invoke(call: Call): Promise<Response> {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_QUERY')
  const only = entityAsked(call, endpoint)
  return generatesText(call, endpoint)
    ? invokeByBody(call, endpoint, only ?? splitTraffic(endpoint.active!, Math.random()))
    : invokeRows(call, endpoint, readNativeBody, only)
}

/** An entity that generates text reads a body with an LLM key as a whole, any other as rows. */
async function invokeByBody(call: Call, endpoint: Endpoint, entity: ServedEntity): Promise<Response> {
  // Read once; a body that cannot be read fails below, where it becomes a row of the log.
  const reading = readNativeBody(call)
  const body = await reading.catch(() => undefined)
  const isWhole = versionOf(call, entity)?.task === 'text-generation' && isGenerationBody(body)
  return isWhole ? invokeGeneration(call, endpoint, entity, body) : invokeRows(call, endpoint, () => reading, entity)
}

async function invokeRows(
  call: Call,
  endpoint: Endpoint,
  read: (call: Call) => Promise<unknown>,
  only: ServedEntity | undefined,
): Promise<Response> {
  let encoding: 'float' | 'base64' | undefined
  const served = await answer(
    call,
    endpoint,
    async (version, invocation) => {
      const body = await read(call)
      if (body instanceof CsvText) return csvRequest(body.text, version)
      if (isRecord(body) && typeof body.client_request_id === 'string')
        invocation.clientRequestId = body.client_request_id
      if (!isEmbeddingsBody(body, version)) return nativeRequest(body, version)
      const embeddings = embeddingsRequest(body, version)
      encoding = embeddings.encoding
      return embeddings.request
    },
    only,
  )
  const reply = encoding
    ? embeddingsReply(served.reply, endpoint.name, encoding)
    : nativeReply(served.reply, served.version)
  return identifiedJson(call, reply, { 'served-model-name': served.entity.name })
}

/** A native body that is a table, not JSON. */
class CsvText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

async function readNativeBody({ request }: Call): Promise<unknown> {
  const format = bodyFormat(request.headers.get('content-type'), ['json', 'csv'])
  const bytes = await readBytes(request, limits.requestBytes)
  return format === 'csv' ? new CsvText(decodeText(bytes)) : parseJson(bytes)
}

/** POST /v1/embeddings and /serving-endpoints/embeddings: `model` names the endpoint. */
export async function embeddings(call: Call): Promise<Response> {
  const body = await jsonBody(call, limits.requestBytes)
  if (!isRecord(body)) throw badRequest(`The body must be a JSON object; got ${describe(body)}.`)
  if (typeof body.model !== 'string')
    throw badRequest(`model: expected the name of a serving endpoint, got ${describe(body.model)}.`, 'model')
  const endpoint = endpointFor(call, body.model, 'CAN_QUERY')
  let encoding: 'float' | 'base64' = 'float'
  const served = await answer(call, endpoint, async (version) => {
    const parsed = embeddingsRequest(body, version)
    encoding = parsed.encoding
    return parsed.request
  })
  return identifiedJson(call, embeddingsReply(served.reply, endpoint.name, encoding), {
    'served-model-name': served.entity.name,
  })
}

/** GET /v1/models: the endpoints that the caller may query. */
export function listOpenaiModels(call: Call): Response {
  return json({ object: 'list', data: queryable(call).map(openaiModel) })
}

export function getOpenaiModel(call: Call): Response {
  return json(openaiModel(endpointFor(call, call.params.name!, 'CAN_QUERY')))
}

/** GET /v2 */
export function openInferenceServer(): Response {
  return json({ name: 'glim', version: '0.1.0', extensions: [] })
}

export function openInferenceLive(): Response {
  return json({ live: true })
}

export function openInferenceReady(): Response {
  return json({ ready: true })
}

/** GET /v2/models/{name}[/versions/{version}] */
export function openInferenceModel(call: Call): Response {
  const { endpoint, version } = openInferenceTarget(call)
  return json(openInferenceMetadata(endpoint.name, [version.version], version))
}

/** GET /v2/models/{name}[/versions/{version}]/ready */
export function openInferenceModelReady(call: Call): Response {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_QUERY')
  return json({ name: endpoint.name, ready: endpoint.active !== null })
}

/** POST /v2/models/{name}[/versions/{version}]/infer */
export async function openInferenceInfer(call: Call): Promise<Response> {
  const { endpoint, entity } = openInferenceTarget(call)
  let id: string | undefined
  const only = call.params.version === undefined ? undefined : entity
  const served = await answer(
    call,
    endpoint,
    async (version) => {
      const parsed = openInferenceRequest(await jsonBody(call, limits.requestBytes), version)
      id = parsed.id
      return parsed.request
    },
    only,
  )
  return identifiedJson(
    call,
    openInferenceReply(served.reply, endpoint.name, served.version.version, id ?? call.requestId),
    {},
  )
}

/** Known routes of other dialects that this version lacks. */
export function unbuilt({ path }: Pick<Call, 'path'>): never {
  throw notBuilt(`The route ${path}`)
}

function answer(
  call: Call,
  endpoint: Endpoint,
  translate: (version: ModelVersion, invocation: Invocation) => Promise<InvocationRequest>,
  only?: ServedEntity,
): Promise<Served> {
  const { requestId, principal, request } = call
  const invocation: Invocation = {
    requestId,
    clientRequestId: null,
    endpoint,
    principal,
    isAborted: () => request.signal.aborted,
    translate: (version) => translate(version, invocation),
  }
  return serve(invocation, serveOptions(call, only))
}

function entityAsked(call: Call, endpoint: Endpoint): ServedEntity | undefined {
  return call.params.entity === undefined ? undefined : entityOf(endpoint, call.params.entity)
}

function queryable({ view, principal }: Call): Endpoint[] {
  return [...view.endpoints.values()].filter((endpoint) => permits(permissionOf(endpoint, principal), 'CAN_QUERY'))
}

function openaiModel({ name, createdMs, creator }: Endpoint) {
  return { id: name, object: 'model', created: Math.floor(createdMs / 1_000), owned_by: creator }
}

/** The entity that a protocol path means: the one that serves the version named, else the first of the configuration. */
function openInferenceTarget(call: Call): { endpoint: Endpoint; entity: ServedEntity; version: ModelVersion } {
  const endpoint = endpointFor(call, call.params.name!, 'CAN_QUERY')
  requireReady(endpoint)
  const entities = endpoint.active?.servedEntities ?? []
  const asked = call.params.version
  const entity = asked === undefined ? entities[0] : entities.find((candidate) => candidate.entityVersion === asked)
  const version = entity && versionOf(call, entity)
  if (!entity || !version) {
    const versions = entities.map((candidate) => candidate.entityVersion).join(', ')
    throw doesNotExist(
      `Endpoint ${endpoint.name} serves no version ${asked ?? entity?.entityVersion} (it serves ${versions}).`,
    )
  }
  return { endpoint, entity, version }
}
