/**
 * Text generation between the two columns: what an endpoint is asked, in one form for every dialect, and the events it answers
 * with. The gateway turns each dialect into a `GenerationRequest` and writes the events in the dialect's words; the engine knows
 * neither dialects nor HTTP.
 */
import type { ServingErrorFacts } from './errors.ts'

export interface GenerationRequest {
  prompt: Prompt
  /** Independent continuations of the prompt (`n`). */
  choices: number
  /** Most tokens of each choice; null: as many as the context has room for. With 0 nothing is written: the prompt is counted, and echoed. */
  maxTokens: number | null
  sampling: Sampling
  /** Texts that end a choice; they are not part of it. */
  stop: readonly string[]
  /** Goes on after an end-of-text token, until `maxTokens`. */
  ignoreEos: boolean
  /** Log probabilities of each token, with this many of the likeliest others beside it; null for none. */
  topLogprobs: number | null
  /** Whether the prompt's own text leads each choice (OpenAI completions' `echo`). */
  echo: boolean
  /** What the text must look like; null for free text. Tools bring their own constraint. */
  constraint: Constraint | null
  /** Prefixes are shared only among requests of one tenant. */
  tenant: string
  /** Milliseconds from arrival until the request is given up, waiting included. */
  deadlineMs: number
}

export type Prompt =
  | {
      kind: 'messages'
      messages: readonly ChatMessage[]
      tools: readonly Tool[]
      toolChoice: ToolChoice
      parallelToolCalls: boolean
      /** Further variables of the model's chat template, by name. */
      templateVariables?: Readonly<Record<string, unknown>>
    }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; tokens: readonly number[] }

/** A turn of a conversation. `developer` is `system` to templates that do not know it. */
export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  /** Text parts are joined by the gateway; other kinds of content are refused there. */
  content: string
  name?: string
  toolCalls?: readonly ToolCall[]
  /** The call that a `tool` message answers. */
  toolCallId?: string
}

export interface ToolCall {
  id: string
  name: string
  /** JSON text. */
  arguments: string
}

export interface Tool {
  name: string
  description?: string
  /** JSON Schema of the arguments; absent means any object. */
  parameters?: unknown
}

/** `auto` leaves it to the model, `required` forces at least one call, `name` forces calls of that tool. */
export type ToolChoice = 'none' | 'auto' | 'required' | { name: string }

/** Null leaves a value to the model's `generation_config.json`, and where that has none to the neutral value. */
export interface Sampling {
  /** 0 takes the likeliest token. */
  temperature: number | null
  topK: number | null
  topP: number | null
  minP: number | null
  /** 1 is neutral; divides the logits of tokens that have occurred, prompt included. */
  repetitionPenalty: number | null
  /** 0 is neutral; subtracted once, and per occurrence, from tokens that the choice already holds. */
  presencePenalty: number | null
  frequencyPenalty: number | null
  /** Added to the logits, by token id. */
  logitBias: Readonly<Record<string, number>>
  /** The same seed gives the same text, alone or in a batch; null draws one. */
  seed: number | null
}

/** All leave out whitespace that the grammar does not need, so that a choice always ends within its tokens. */
export type Constraint =
  | { kind: 'json' }
  | { kind: 'json-schema'; schema: unknown }
  | { kind: 'regex'; pattern: string }
  | { kind: 'choice'; choices: readonly string[] }

/** The fields by which the engine names a constraint that it refuses. */
export const constraintFields: Readonly<Record<Constraint['kind'], string>> = {
  json: 'response_format',
  'json-schema': 'response_format.json_schema.schema',
  regex: 'structured_outputs.regex',
  choice: 'structured_outputs.choice',
}

/**
 * One line of a reply's stream. `prompt-read` comes first and once, `usage-final` last and once, `choice-end` once for each
 * choice; `failed` ends the stream in place of all that is missing.
 */
export type GenerationEvent =
  | { type: 'prompt-read'; promptTokens: number; cachedTokens: number }
  | { type: 'text-delta'; choice: number; text: string; logprobs?: readonly TokenLogprob[] }
  /** Text inside the model's reasoning tags. */
  | { type: 'reasoning-delta'; choice: number; text: string }
  | { type: 'tool-call-start'; choice: number; call: number; id: string; name: string }
  | { type: 'tool-call-delta'; choice: number; call: number; arguments: string }
  | { type: 'choice-end'; choice: number; finishReason: FinishReason; stopText: string | null }
  | { type: 'usage-final'; usage: GenerationUsage }
  | { type: 'failed'; error: ServingErrorFacts }

/** `stop`: the model's end token, a stop text, or a constraint that is complete. */
export type FinishReason = 'stop' | 'length' | 'tool-calls'

export interface TokenLogprob {
  token: string
  /** The token's bytes, which need not be whole characters. */
  bytes: readonly number[]
  logprob: number
  top: readonly Omit<TokenLogprob, 'top'>[]
}

export interface GenerationUsage {
  promptTokens: number
  /** Prompt tokens whose keys and values were in the cache. */
  cachedTokens: number
  /** Over all choices. */
  completionTokens: number
  /** Of those, tokens inside reasoning tags. */
  reasoningTokens: number
  queueMs: number
  loadMs: number
  /** From arrival to the first token. */
  ttftMs: number
  decodeMs: number
}
