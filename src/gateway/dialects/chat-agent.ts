/**
 * The agent form of the completions route: a conversation in, messages out. One published client sends its traffic in this form
 * to `/completions`, where OpenAI's own body has a `prompt`.
 */
import type { GenerationEvent } from '#contracts/generation.ts'
import { collectGeneration } from '../collect-generation.ts'
import { dataEvent } from '../sse.ts'
import { renamed } from './field-names.ts'
import { type GenerationContext, type GenerationPlan, replyId } from './generation-plan.ts'
import { callsOf } from './openai-chat/reply.ts'
import { chatRequest } from './openai-chat/request.ts'
import { streamDone, streamFailure, usageOf } from './openai-values.ts'

export function isAgentBody(body: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(body.messages) && !Object.hasOwn(body, 'prompt')
}

/** @throws {ServingError} 400 naming the field at fault. */
export function chatAgent(body: Record<string, unknown>, context: GenerationContext): GenerationPlan {
  const { request, isStreamed, names } = chatRequest({ ...body, n: 1 }, context)
  const ids = { id: replyId('agent-', context), model: context.model }
  const message = { id: replyId('msg_', context), role: 'assistant' }
  return {
    requests: [request],
    isStreamed,
    fieldOf: (field) => renamed(field, names),
    async reply(events) {
      const { choices, usage } = await collectGeneration(events, 1)
      const { text, toolCalls } = choices[0]!
      return { ...ids, messages: [{ ...message, content: text, ...callsOf(toolCalls) }], usage: usageOf(usage) }
    },
    write: agentChunks({ ...ids, object: 'chat.completion.chunk' }, message),
  }
}

/** Each chunk's delta is a message in its own right, so a call is told once it is whole. */
function agentChunks(ids: object, message: object): (event: GenerationEvent) => string {
  const chunk = (delta: object) => dataEvent(JSON.stringify({ ...ids, delta: { ...message, ...delta } }))
  const calls: { id: string; name: string; arguments: string }[] = []
  return (event) => {
    switch (event.type) {
      case 'text-delta':
        return chunk({ content: event.text })
      case 'tool-call-start':
        calls.push({ id: event.id, name: event.name, arguments: '' })
        return ''
      case 'tool-call-delta':
        calls[event.call]!.arguments += event.arguments
        return ''
      case 'choice-end':
        return calls.length === 0 ? '' : chunk({ content: '', ...callsOf(calls) })
      case 'usage-final':
        return streamDone
      case 'failed':
        return streamFailure(event.error)
      default:
        return ''
    }
  }
}
