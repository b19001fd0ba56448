/**
 * What every dialect of text generation makes of a body: requests in the one form that the host knows, and the words in which
 * their events go back. Dialects know neither hosts nor HTTP; `serve-generation.ts` knows no dialect.
 */
import { ServingError } from '#contracts/errors.ts'
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'

/** Facts of the invocation that replies name. */
export interface GenerationContext {
  requestId: string
  /** The endpoint's name; replies say it as `model`. */
  model: string
  /** Whose prefixes may be shared: the caller's name. */
  tenant: string
  /** Changes whenever the bytes of the model do. */
  fingerprint: string
  createdMs: number
}

export interface GenerationPlan {
  /** Several only for a list of prompts; the choices of all are numbered through, in this order. */
  requests: readonly GenerationRequest[]
  isStreamed: boolean
  /** The caller's name of a field that the host names when it refuses one of `requests`; absent where they are the same. */
  fieldOf?(field: string, request: number): string
  /** Says one event in the dialect's server-sent events; empty for events that it has no words for. Called in order. */
  write(event: GenerationEvent): string | Promise<string>
  /** Resolves to the whole reply. @throws {ServingError} what a `failed` event tells. */
  reply(events: AsyncIterable<GenerationEvent>): Promise<unknown>
}

/** The parts of a request that most dialects leave as they are. */
export function requestDefaults(context: GenerationContext) {
  return {
    choices: 1,
    maxTokens: null,
    stop: [],
    ignoreEos: false,
    topLogprobs: null,
    echo: false,
    constraint: null,
    tenant: context.tenant,
    deadlineMs: limits.executionMs,
  } as const satisfies Partial<GenerationRequest>
}

/** @throws {ServingError} what a `failed` event tells. */
export function throwFailure(event: GenerationEvent): void {
  if (event.type === 'failed') throw new ServingError(event.error)
}

/** An id in the manner of the dialect, such as `chatcmpl-0123…`; the part after the prefix is the request's id. */
export function replyId(prefix: string, { requestId }: GenerationContext): string {
  return prefix + requestId.replaceAll('-', '')
}
