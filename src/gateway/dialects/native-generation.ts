/** The native dialect's LLM keys: the whole body goes to the model in the shape that its key belongs to, and so does the reply. */
import { isRecord } from '../enforce-schema.ts'
import type { ResponseStore } from '../response-store.ts'
import type { GenerationContext, GenerationPlan } from './generation-plan.ts'
import { hasTabularKey } from './native.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiCompletions } from './openai-completions.ts'
import { openaiResponses } from './openai-responses.ts'

/** Whether a body for a text-generation entity is to be read by its LLM key, not as rows. */
export function isGenerationBody(body: unknown): body is Record<string, unknown> {
  return (
    isRecord(body) && ['messages', 'prompt', 'input'].some((key) => Object.hasOwn(body, key)) && !hasTabularKey(body)
  )
}

/** @throws {ServingError} 400 naming the field at fault. */
export function nativeGeneration(
  body: Record<string, unknown>,
  context: GenerationContext,
  store: ResponseStore,
): GenerationPlan | Promise<GenerationPlan> {
  if (Object.hasOwn(body, 'messages')) return openaiChat(body, context)
  return Object.hasOwn(body, 'prompt') ? openaiCompletions(body, context) : openaiResponses(body, context, store)
}
