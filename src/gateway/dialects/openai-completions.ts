/** OpenAI's completions, and the agent form that shares their route. */
import { chatAgent, isAgentBody } from './chat-agent.ts'
import { renamed } from './field-names.ts'
import type { GenerationContext, GenerationPlan } from './generation-plan.ts'
import { completionsChunks, completionsReply } from './openai-completions/reply.ts'
import { completionsRequest } from './openai-completions/request.ts'

/** @throws {ServingError} 400 naming the field at fault. */
export function openaiCompletions(body: Record<string, unknown>, context: GenerationContext): GenerationPlan {
  if (isAgentBody(body)) return chatAgent(body, context)
  const { requests, isStreamed, includesUsage, names } = completionsRequest(body, context)
  const choices = requests.reduce((sum, request) => sum + request.choices, 0)
  return {
    requests,
    isStreamed,
    fieldOf: (field, request) => renamed(field, names[request]!),
    write: completionsChunks(choices, includesUsage, context),
    reply: (events) => completionsReply(events, choices, context),
  }
}
