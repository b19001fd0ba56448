/** OpenAI's Responses: one reply whose output is a list of items, and which later requests may go on from. */

import { ServingError } from '#contracts/errors.ts'
import { constraintFields, type GenerationEvent, type GenerationUsage } from '#contracts/generation.ts'
import { openaiError } from '../error-body.ts'
import type { ResponseStore } from '../response-store.ts'
import { typedEvent } from '../sse.ts'
import { flatTool, renamed } from './field-names.ts'
import { type GenerationContext, type GenerationPlan, replyId, throwFailure } from './generation-plan.ts'
import { OutputItems } from './openai-responses/output-items.ts'
import { type ResponsesRequest, responsesRequest } from './openai-responses/request.ts'

/** @throws {ServingError} 400 naming the field at fault, 404 for a previous response that the caller does not have. */
export async function openaiResponses(
  body: Record<string, unknown>,
  context: GenerationContext,
  store: ResponseStore,
): Promise<GenerationPlan> {
  const asked = await responsesRequest(body, context, store)
  const writer = responseWriter(asked, context, store)
  return {
    requests: [asked.request],
    isStreamed: asked.isStreamed,
    fieldOf,
    write: writer.write,
    async reply(events) {
      for await (const event of events) {
        throwFailure(event)
        await writer.write(event)
      }
      return writer.response()
    },
  }
}

/** What was said before comes from the store, so the host's count of messages is none that the caller knows. */
function fieldOf(field: string): string {
  if (field.startsWith('messages')) return 'input'
  return renamed(flatTool(field, 'parameters'), [
    [constraintFields['json-schema'], 'text.format.schema'],
    [constraintFields.json, 'text.format'],
    ['max_tokens', 'max_output_tokens'],
  ])
}

function responseWriter(asked: ResponsesRequest, context: GenerationContext, store: ResponseStore) {
  let said = ''
  let sequence = 0
  const say = (type: string, facts: object) => {
    said += typedEvent({ type, ...facts, sequence_number: sequence++ })
  }
  const output = new OutputItems((type, facts) => say(`response.${type}`, facts), replyId('', context))
  const state = {
    status: 'in_progress',
    incomplete_details: null as { reason: string } | null,
    error: null as { code: string; message: string } | null,
    store: asked.isStored,
  }
  let usage: ReturnType<typeof usageOf> | undefined
  const id = replyId('resp_', context)
  const response = () => ({
    id,
    object: 'response',
    created_at: Math.floor(context.createdMs / 1_000),
    model: context.model,
    access_programs: null,
    background: false,
    ...asked.echoed,
    max_tool_calls: null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    truncation: 'disabled',
    ...state,
    // Absent until the end: it has no place for null.
    ...(usage ? { usage } : {}),
    output: output.items,
  })

  /** The reply is on disk before anybody is told that it is complete, so that a request that goes on from it finds it. */
  async function finish(counted: GenerationUsage): Promise<void> {
    state.status = state.incomplete_details ? 'incomplete' : 'completed'
    usage = usageOf(counted)
    if (state.store)
      state.store = await store.put(id, { reply: response(), messages: [...asked.messages, output.message()] })
    say(`response.${state.status}`, { response: response() })
  }

  async function take(event: GenerationEvent): Promise<void> {
    switch (event.type) {
      case 'prompt-read':
        say('response.created', { response: response() })
        say('response.in_progress', { response: response() })
        break
      case 'reasoning-delta':
        output.reason(event.text)
        break
      case 'text-delta':
        output.write(event.text, event.logprobs)
        break
      case 'tool-call-start':
        output.call(event)
        break
      case 'tool-call-delta':
        output.fillCall(event.arguments)
        break
      case 'choice-end':
        if (event.finishReason === 'length') state.incomplete_details = { reason: 'max_output_tokens' }
        output.end(event.finishReason !== 'length')
        break
      case 'usage-final':
        await finish(event.usage)
        break
      case 'failed': {
        const { code, message, param } = openaiError(new ServingError(event.error))
        output.breakOff()
        state.status = 'failed'
        state.store = false
        state.error = { code: event.error.status === 429 ? 'rate_limit_exceeded' : 'server_error', message }
        say('error', { code, message, param })
        say('response.failed', { response: response() })
      }
    }
  }

  return {
    response,
    async write(event: GenerationEvent): Promise<string> {
      await take(event)
      const text = said
      said = ''
      return text
    },
  }
}

function usageOf({ promptTokens, cachedTokens, completionTokens, reasoningTokens }: GenerationUsage) {
  return {
    input_tokens: promptTokens,
    // What is kept for later prompts costs nobody anything, and is not counted.
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: promptTokens + completionTokens,
  }
}
