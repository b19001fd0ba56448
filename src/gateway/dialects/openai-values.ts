/** Values that several of OpenAI's reply shapes share. */
import { ServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import type { FinishReason, GenerationUsage, TokenLogprob } from '#contracts/generation.ts'
import { openaiError } from '../error-body.ts'
import { dataEvent } from '../sse.ts'

export function usageOf({ promptTokens, cachedTokens, completionTokens, reasoningTokens }: GenerationUsage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  }
}

export function finishReasonOf(reason: FinishReason): 'stop' | 'length' | 'tool_calls' {
  return reason === 'tool-calls' ? 'tool_calls' : reason
}

/** Chat and Responses' form of a token's log probability. */
export function tokenLogprob({ token, bytes, logprob, top }: TokenLogprob) {
  return {
    token,
    logprob,
    bytes,
    top_logprobs: top.map((other) => ({ token: other.token, logprob: other.logprob, bytes: other.bytes })),
  }
}

/** How chat and completions end a stream that fails: no `[DONE]` follows, so that nobody takes it for complete. */
export function streamFailure(facts: ServingErrorFacts): string {
  return dataEvent(JSON.stringify({ error: openaiError(new ServingError(facts)) }))
}

export const streamDone: string = dataEvent('[DONE]')

/** Writes chunks that differ in their choices only; what they share is made once. */
export function chunkWriter(shared: object): (choices: readonly unknown[], more?: string) => string {
  const head = JSON.stringify(shared).slice(0, -1)
  return (choices, more = '') => dataEvent(`${head},"choices":${JSON.stringify(choices)}${more}}`)
}
