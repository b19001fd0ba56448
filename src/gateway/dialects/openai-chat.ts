/** OpenAI's chat completions. */
import { renamed } from './field-names.ts'
import type { GenerationContext, GenerationPlan } from './generation-plan.ts'
import { chatChunks, chatReply } from './openai-chat/reply.ts'
import { chatRequest } from './openai-chat/request.ts'

/** @throws {ServingError} 400 naming the field at fault. */
export function openaiChat(body: Record<string, unknown>, context: GenerationContext): GenerationPlan {
  const { request, isStreamed, includesUsage, names } = chatRequest(body, context)
  return {
    requests: [request],
    isStreamed,
    fieldOf: (field) => renamed(field, names),
    write: chatChunks(request.choices, includesUsage, context),
    reply: (events) => chatReply(events, request.choices, context),
  }
}
