/** OpenAI's chat completions, out: one object, or a stream of chunks. */
import type { GenerationEvent, ToolCall } from '#contracts/generation.ts'
import { type CollectedChoice, collectGeneration } from '../../collect-generation.ts'
import { type GenerationContext, replyId } from '../generation-plan.ts'
import { chunkWriter, finishReasonOf, streamDone, streamFailure, tokenLogprob, usageOf } from '../openai-values.ts'

/** Resolves to a `chat.completion`. */
export async function chatReply(events: AsyncIterable<GenerationEvent>, choices: number, context: GenerationContext) {
  const collected = await collectGeneration(events, choices)
  return {
    ...envelope(context, 'chat.completion'),
    choices: collected.choices.map((choice, index) => ({
      index,
      message: messageOf(choice),
      logprobs: choice.logprobs.length > 0 ? { content: choice.logprobs.map(tokenLogprob), refusal: null } : null,
      finish_reason: finishReasonOf(choice.finishReason),
    })),
    usage: usageOf(collected.usage),
  }
}

/**
 * Says events as `chat.completion.chunk`s: the role, the deltas, the reason each choice ended, the usage where asked for, and
 * `[DONE]`. Only `data:` lines, because one official client raises on any other.
 */
export function chatChunks(choices: number, includesUsage: boolean, context: GenerationContext) {
  const chunk = chunkWriter(envelope(context, 'chat.completion.chunk'))
  // With `include_usage` every chunk has the field, and all but the last say null.
  const noUsage = includesUsage ? ',"usage":null' : ''
  const delta = (index: number, delta: object, more: object = {}) =>
    chunk([{ index, delta, logprobs: null, finish_reason: null, ...more }], noUsage)

  return (event: GenerationEvent): string => {
    switch (event.type) {
      case 'prompt-read':
        return Array.from({ length: choices }, (_, index) => delta(index, { role: 'assistant', content: '' })).join('')
      case 'text-delta': {
        const logprobs = event.logprobs && { content: event.logprobs.map(tokenLogprob), refusal: null }
        return delta(event.choice, { content: event.text }, logprobs ? { logprobs } : {})
      }
      case 'reasoning-delta':
        return delta(event.choice, { reasoning_content: event.text })
      case 'tool-call-start':
        return delta(event.choice, {
          tool_calls: [
            { index: event.call, id: event.id, type: 'function', function: { name: event.name, arguments: '' } },
          ],
        })
      case 'tool-call-delta':
        return delta(event.choice, {
          tool_calls: [{ index: event.call, function: { arguments: event.arguments } }],
        })
      case 'choice-end':
        return delta(event.choice, {}, { finish_reason: finishReasonOf(event.finishReason) })
      case 'usage-final':
        return (includesUsage ? chunk([], `,"usage":${JSON.stringify(usageOf(event.usage))}`) : '') + streamDone
      case 'failed':
        return streamFailure(event.error)
    }
  }
}

function envelope(context: GenerationContext, object: string) {
  return {
    id: replyId('chatcmpl-', context),
    object,
    created: Math.floor(context.createdMs / 1_000),
    model: context.model,
    system_fingerprint: context.fingerprint,
  }
}

function messageOf({ text, reasoning, toolCalls }: CollectedChoice) {
  return {
    role: 'assistant',
    content: text === '' && toolCalls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...callsOf(toolCalls),
  }
}

/** The field `tool_calls`, where there are any. */
export function callsOf(calls: readonly ToolCall[]) {
  if (calls.length === 0) return {}
  return {
    tool_calls: calls.map(({ id, name, arguments: text }) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    })),
  }
}
