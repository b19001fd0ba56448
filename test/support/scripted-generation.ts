/**
 * The gateway's side of text generation over a scripted host: dialects, streaming and log rows as in the dispatcher, and events
 * that a test has written down. `fetch` takes the place of the network in unmodified clients.
 */
import type { GenerationEvent, GenerationRequest, GenerationUsage } from '#contracts/generation.ts'
import type { Host } from '#contracts/host.ts'
import type { Endpoint, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import type { InvocationRow } from '#contracts/usage.ts'
import { anthropicCount, anthropicMessages } from '#src/gateway/dialects/anthropic-messages.ts'
import type { GenerationContext, GenerationPlan } from '#src/gateway/dialects/generation-plan.ts'
import { openaiChat } from '#src/gateway/dialects/openai-chat.ts'
import { openaiCompletions } from '#src/gateway/dialects/openai-completions.ts'
import { openaiResponses } from '#src/gateway/dialects/openai-responses.ts'
import { type Dialect, errorResponse } from '#src/gateway/error-body.ts'
import type { ResponseStore, StoredResponse } from '#src/gateway/response-store.ts'
import { serveGeneration } from '#src/gateway/serve-generation.ts'

export type Script = (request: GenerationRequest, signal: AbortSignal) => Events | Promise<Events>

type Events = AsyncIterable<GenerationEvent> | Iterable<GenerationEvent>

export interface ScriptedGateway {
  fetch(url: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Sends one body and reads the reply as text. */
  send(path: string, body: unknown, init?: RequestInit): Promise<{ status: number; text: string; headers: Headers }>
  /** What the host was asked. */
  requests: GenerationRequest[]
  rows: InvocationRow[]
  responses: Map<string, StoredResponse>
  /** Settles once every streamed reply has been recorded. */
  settled(): Promise<unknown>
}

export const usage: GenerationUsage = {
  promptTokens: 7,
  cachedTokens: 4,
  completionTokens: 3,
  reasoningTokens: 1,
  queueMs: 1,
  loadMs: 2,
  ttftMs: 10,
  decodeMs: 20,
}

export const read: GenerationEvent = { type: 'prompt-read', promptTokens: 7, cachedTokens: 4 }
export const done: GenerationEvent = { type: 'usage-final', usage }

export function text(text: string, choice = 0): GenerationEvent {
  return { type: 'text-delta', choice, text }
}

export function reasoning(text: string, choice = 0): GenerationEvent {
  return { type: 'reasoning-delta', choice, text }
}

export function end(
  finishReason: 'stop' | 'length' | 'tool-calls' = 'stop',
  stopText: string | null = null,
  choice = 0,
): GenerationEvent {
  return { type: 'choice-end', choice, finishReason, stopText }
}

/** A call whose arguments come in the given pieces. */
export function toolCall(call: number, id: string, name: string, ...pieces: string[]): GenerationEvent[] {
  return [
    { type: 'tool-call-start', choice: 0, call, id, name },
    ...pieces.map((piece): GenerationEvent => ({ type: 'tool-call-delta', choice: 0, call, arguments: piece })),
  ]
}

/** A whole reply that says the given pieces. */
export function saying(...pieces: string[]): GenerationEvent[] {
  return [read, ...pieces.map((piece) => text(piece)), end(), done]
}

const paths: Record<
  string,
  [
    Dialect,
    (
      body: Record<string, unknown>,
      context: GenerationContext,
      store: ResponseStore,
    ) => GenerationPlan | Promise<GenerationPlan>,
  ]
> = {
  '/v1/chat/completions': ['openai', openaiChat],
  '/v1/completions': ['openai', openaiCompletions],
  '/v1/responses': ['openai', openaiResponses],
  '/v1/messages': ['anthropic', anthropicMessages],
  '/v1/messages/count_tokens': ['anthropic', anthropicCount],
}

/** @param generate what the host answers; may throw what it refuses. */
export function scriptedGateway(generate: Script, task: ModelVersion['task'] = 'text-generation'): ScriptedGateway {
  const requests: GenerationRequest[] = []
  const rows: InvocationRow[] = []
  const kept: Promise<unknown>[] = []
  const responses = new Map<string, StoredResponse>()
  const host = {
    async generate(_spec: unknown, request: GenerationRequest, signal: AbortSignal) {
      requests.push(request)
      return asyncOf(await generate(request, signal))
    },
  } as unknown as Host
  const store: ResponseStore = {
    get: async (id) => structuredClone(responses.get(id) ?? null),
    put: async (id, stored) => Boolean(responses.set(id, structuredClone(stored))),
    delete: async (id) => responses.delete(id),
  }
  let count = 0

  async function fetch(url: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const request = new Request(url as string, init)
    const [dialect, plan] = paths[new URL(request.url).pathname]!
    const requestId = `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`
    try {
      const body = (await request.json()) as Record<string, unknown>
      const inquiry = { requestId, clientRequestId: null, endpoint, principal, signal: request.signal }
      return await serveGeneration(
        { ...inquiry, dialect, translate: (context) => plan(body, context, store) },
        {
          host,
          record: (row) => rows.push(row),
          now: () => 1_700_000_000_000,
          choose: () => entity,
          versionOf: () => ({ manifest: `sha256:${'ab'.repeat(32)}`, task }) as ModelVersion,
          specOf: () => ({}) as never,
          keepAlive: (promise) => kept.push(promise),
        },
      )
    } catch (error) {
      return errorResponse(error, dialect, requestId)
    }
  }

  return {
    fetch,
    async send(path, body, init) {
      const reply = await fetch(`http://glim${path}`, { method: 'POST', body: JSON.stringify(body), ...init })
      return { status: reply.status, text: await reply.text(), headers: reply.headers }
    },
    requests,
    rows,
    responses,
    settled: () => Promise.all(kept),
  }
}

const entity = { name: 'tale-1', entityName: 'tale', entityVersion: '1' } as ServedEntity
const endpoint = { id: 'e', name: 'tale', active: { servedEntities: [entity] } } as unknown as Endpoint
const principal = { name: 'ann', kind: 'user', groups: [] } as const

async function* asyncOf(events: Events): AsyncGenerator<GenerationEvent> {
  yield* events
}

/** The events of a server-sent stream: name (where there is one) and data. */
export function eventsOf(stream: string): { event: string | null; data: string }[] {
  expectWhole(stream)
  return stream
    .split('\n\n')
    .slice(0, -1)
    .map((block) => {
      const lines = block.split('\n')
      const event = lines.find((line) => line.startsWith('event: '))?.slice('event: '.length) ?? null
      return { event, data: lines.find((line) => line.startsWith('data: '))!.slice('data: '.length) }
    })
}

function expectWhole(stream: string): void {
  if (!stream.endsWith('\n\n')) throw new Error(`the stream ends within an event: ${stream.slice(-80)}`)
}
