/** Anthropic's messages, and the count of their tokens. */
import { ServingError } from '#contracts/errors.ts'
import {
  constraintFields,
  type FinishReason,
  type GenerationEvent,
  type GenerationUsage,
} from '#contracts/generation.ts'
import { collectGeneration } from '../collect-generation.ts'
import { errorBody } from '../error-body.ts'
import { typedEvent } from '../sse.ts'
import { ContentBlocks } from './anthropic-messages/content-blocks.ts'
import { countRequest, messagesRequest } from './anthropic-messages/request.ts'
import { flatTool, renamed } from './field-names.ts'
import { type GenerationContext, type GenerationPlan, replyId, throwFailure } from './generation-plan.ts'

/** @throws {ServingError} 400 naming the field at fault. */
export function anthropicMessages(body: Record<string, unknown>, context: GenerationContext): GenerationPlan {
  const { request, isStreamed } = messagesRequest(body, context)
  const writer = messageWriter(context)
  return {
    requests: [request],
    isStreamed,
    fieldOf,
    write: writer.write,
    async reply(events) {
      for await (const event of events) {
        throwFailure(event)
        writer.write(event)
      }
      return writer.message()
    },
  }
}

/** How many tokens a messages body has, for the model that would answer it. */
export function anthropicCount(body: Record<string, unknown>, context: GenerationContext): GenerationPlan {
  return {
    requests: [countRequest(body, context)],
    isStreamed: false,
    fieldOf,
    write: () => '',
    async reply(events) {
      const { usage } = await collectGeneration(events, 1)
      return { input_tokens: usage.promptTokens }
    },
  }
}

/** The host counts the system's text and each tool's result as messages of their own. */
function fieldOf(field: string): string {
  if (field.startsWith('messages')) return 'messages'
  return renamed(flatTool(field, 'input_schema'), [[constraintFields['json-schema'], 'output_config.format.schema']])
}

function messageWriter(context: GenerationContext) {
  const content = new ContentBlocks()
  const end = { stop_reason: null as string | null, stop_sequence: null as string | null }
  let usage: ReturnType<typeof usageOf> = usageOf({ promptTokens: 0, cachedTokens: 0, completionTokens: 0 })
  const message = () => ({
    id: replyId('msg_', context),
    type: 'message',
    role: 'assistant',
    model: context.model,
    content: content.blocks,
    ...end,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage,
  })

  function write(event: GenerationEvent): string {
    switch (event.type) {
      case 'prompt-read':
        usage = usageOf({ ...event, completionTokens: 0 })
        return typedEvent({ type: 'message_start', message: message() })
      case 'reasoning-delta':
        return content.think(event.text)
      case 'text-delta':
        return content.write(event.text)
      case 'tool-call-start':
        return content.call(event.id, event.name)
      case 'tool-call-delta':
        return content.fillCall(event.arguments)
      case 'choice-end':
        end.stop_sequence = event.stopText
        end.stop_reason = event.stopText === null ? stopReasons[event.finishReason] : 'stop_sequence'
        return content.end()
      case 'usage-final':
        usage = usageOf(event.usage)
        return (
          typedEvent({
            type: 'message_delta',
            delta: { ...end, stop_details: null, container: null },
            usage: countsOf(event.usage),
          }) + typedEvent({ type: 'message_stop' })
        )
      case 'failed':
        return typedEvent(errorBody(new ServingError(event.error), 'anthropic', context.requestId) as { type: string })
    }
  }

  return { message, write }
}

const stopReasons: Readonly<Record<FinishReason, string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
}

type Counts = Pick<GenerationUsage, 'promptTokens' | 'cachedTokens' | 'completionTokens'> & { reasoningTokens?: number }

/** Anthropic counts what was read from the cache apart from the rest of the input. */
function countsOf({ promptTokens, cachedTokens, completionTokens, reasoningTokens = 0 }: Counts) {
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
    server_tool_use: null,
  }
}

function usageOf(counts: Counts) {
  return { ...countsOf(counts), cache_creation: null, service_tier: 'standard', inference_geo: null, speed: null }
}
