/** Text generation: the routes of OpenAI and Anthropic, and the native route's LLM bodies. */
import { badRequest, doesNotExist, invalidParameter } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Endpoint, ServedEntity } from '#contracts/registry.ts'
import { anthropicCount, anthropicMessages } from '#src/gateway/dialects/anthropic-messages.ts'
import type { GenerationContext, GenerationPlan } from '#src/gateway/dialects/generation-plan.ts'
import { nativeGeneration } from '#src/gateway/dialects/native-generation.ts'
import { openaiChat } from '#src/gateway/dialects/openai-chat.ts'
import { openaiCompletions } from '#src/gateway/dialects/openai-completions.ts'
import { inputItemsPage } from '#src/gateway/dialects/openai-responses/listed-items.ts'
import { openaiResponses } from '#src/gateway/dialects/openai-responses.ts'
import { isRecord } from '#src/gateway/enforce-schema.ts'
import type { Dialect } from '#src/gateway/error-body.ts'
import { describe } from '#src/gateway/json-tensor.ts'
import type { StoredResponse } from '#src/gateway/response-store.ts'
import { type GenerationInvocation, serveGeneration } from '#src/gateway/serve-generation.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, json } from '../call.ts'
import { endpointFor } from '../endpoint-access.ts'
import { serveOptions } from '../serve-options.ts'
import { versionOf } from './endpoints.ts'

type Translate = (body: Record<string, unknown>, context: GenerationContext) => GenerationPlan | Promise<GenerationPlan>

/** POST /v1/chat/completions and /serving-endpoints/chat/completions */
export function chatCompletions(call: Call): Promise<Response> {
  return answer(call, 'openai', openaiChat)
}

/** POST /v1/completions and /serving-endpoints/completions */
export function completions(call: Call): Promise<Response> {
  return answer(call, 'openai', openaiCompletions)
}

/** POST /v1/responses and /serving-endpoints/responses */
export function responses(call: Call): Promise<Response> {
  return answer(call, 'openai', (body, context) => openaiResponses(body, context, storeOf(call)))
}

/** GET /v1/responses/{id}: one that the caller has asked for and not told us to forget. */
export async function getResponse(call: Call): Promise<Response> {
  const stored = await storedOf(call)
  if (/[?&]stream=true\b/.test(call.request.url))
    throw invalidParameter('stream', 'a response that is complete is not streamed again; leave it out')
  return json(stored.reply)
}

/** GET /v1/responses/{id}/input_items */
export async function listInputItems(call: Call): Promise<Response> {
  const stored = await storedOf(call)
  return json(inputItemsPage(call.params.id!, stored, new URL(call.request.url).searchParams))
}

/** DELETE /v1/responses/{id} */
export async function deleteResponse(call: Call): Promise<Response> {
  const id = call.params.id!
  if (!(await storeOf(call).delete(id))) throw noResponse(call)
  return json({ id, object: 'response', deleted: true })
}

/** POST /v1/messages */
export function messages(call: Call): Promise<Response> {
  return answer(call, 'anthropic', anthropicMessages).then((reply) => withAnthropicId(reply, call))
}

/** POST /v1/messages/count_tokens */
export function countTokens(call: Call): Promise<Response> {
  return answer(call, 'anthropic', anthropicCount).then((reply) => withAnthropicId(reply, call))
}

/** Whether any served entity of an endpoint generates text. */
export function generatesText(call: Call, { active }: Endpoint): boolean {
  return active?.servedEntities.some((entity) => versionOf(call, entity)?.task === 'text-generation') ?? false
}

/** A native body with an LLM key; its entity was chosen before, because that decides how the body is read. */
export function invokeGeneration(
  call: Call,
  endpoint: Endpoint,
  entity: ServedEntity,
  body: Record<string, unknown>,
): Promise<Response> {
  const translate: Translate = (fields, context) => nativeGeneration(fields, context, storeOf(call))
  return generate(call, endpoint, body, { dialect: 'native', translate, only: entity })
}

/** `model` names the endpoint. */
async function answer(call: Call, dialect: Dialect, translate: Translate): Promise<Response> {
  const body = await jsonBody(call, limits.requestBytes)
  if (!isRecord(body)) throw badRequest(`The body must be a JSON object; got ${describe(body)}.`)
  if (typeof body.model !== 'string')
    throw badRequest(`model: expected the name of a serving endpoint, got ${describe(body.model)}.`, 'model')
  return generate(call, endpointFor(call, body.model, 'CAN_QUERY'), body, { dialect, translate })
}

function generate(
  call: Call,
  endpoint: Endpoint,
  body: Record<string, unknown>,
  { dialect, translate, only }: { dialect: Dialect; translate: Translate; only?: ServedEntity },
): Promise<Response> {
  const { requestId, principal, request } = call
  const invocation: GenerationInvocation = {
    requestId,
    clientRequestId: typeof body.client_request_id === 'string' ? body.client_request_id : null,
    endpoint,
    principal,
    signal: request.signal,
    dialect,
    translate: (context) => translate(body, context),
  }
  return serveGeneration(invocation, {
    ...serveOptions(call, only),
    keepAlive: (promise) => call.ctx.waitUntil(promise),
  })
}

function storeOf({ services, principal }: Call) {
  return services.responsesOf(principal)
}

async function storedOf(call: Call): Promise<StoredResponse> {
  const stored = await storeOf(call).get(call.params.id!)
  if (!stored) throw noResponse(call)
  return stored
}

function noResponse({ params }: Call) {
  return doesNotExist(`There is no stored response ${params.id} of yours.`)
}

/** Anthropic's clients look for the request id under a name of their own. */
function withAnthropicId(reply: Response, { requestId }: Call): Response {
  reply.headers.set('request-id', requestId)
  return reply
}
