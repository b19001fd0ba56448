/** OpenAI's Responses, in. */
import * as z from 'zod'
import { doesNotExist, invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage, GenerationRequest } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import type { ResponseStore } from '../../response-store.ts'
import { textFormatConstraint, textFormatField } from '../constraint-fields.ts'
import {
  flagField,
  mostTokensField,
  refusedExtras,
  refuseFields,
  samplingFields,
  samplingOf,
  textField,
} from '../generation-fields.ts'
import { type GenerationContext, requestDefaults } from '../generation-plan.ts'
import { type GivenChoice, parametersField, selectTools, toolNameField, toolsOf } from '../tool-fields.ts'
import { inputField, messagesOfInput } from './input-items.ts'

const toolField = z.object({
  type: z.literal('function'),
  name: toolNameField,
  description: z.string().nullish(),
  parameters: parametersField,
  strict: z.boolean().nullish(),
})

const chosenField = z.object({ type: z.literal('function'), name: z.string() })

const toolChoiceField = z
  .union(
    [
      z.enum(['none', 'auto', 'required']),
      chosenField,
      z.object({ type: z.literal('allowed_tools'), mode: z.enum(['auto', 'required']), tools: z.array(chosenField) }),
    ],
    'expected "none", "auto", "required" or {"type": "function", "name": …}',
  )
  .nullish()

const bodySchema = z.object({
  input: inputField,
  instructions: textField.nullish(),
  previous_response_id: z.string().min(1).max(256).nullish(),
  store: flagField,
  stream: flagField,
  tools: z.array(toolField).nullish(),
  tool_choice: toolChoiceField,
  parallel_tool_calls: flagField,
  max_output_tokens: mostTokensField,
  text: z.object({ format: textFormatField, verbosity: z.string().nullish() }).nullish(),
  include: z.array(z.string()).nullish(),
  top_logprobs: z.number().int().min(0).max(limits.topLogprobs).nullish(),
  // Nothing is cut off: what does not fit is refused, and the reply says `disabled`.
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  user: z.string().nullish(),
  ...samplingFields,
})

const refused: Readonly<Record<string, string>> = {
  ...refusedExtras,
  background: 'work in the background is not supported; stream the reply instead.',
  conversation: 'conversations are not supported; use previous_response_id.',
  prompt: 'stored prompts are not supported; send instructions and input.',
  context_management: 'is not supported; leave it out.',
  moderation: 'replies are not moderated; leave it out.',
  chat_template_kwargs: 'is not supported here; use chat completions, or leave it out.',
}

export interface ResponsesRequest {
  request: GenerationRequest
  isStreamed: boolean
  isStored: boolean
  /** What led to the reply, without instructions. */
  messages: readonly ChatMessage[]
  /** The fields of the request that the reply repeats. */
  echoed: Readonly<Record<string, unknown>>
}

/** @throws {ServingError} 400 naming the field at fault, 404 for a previous response that the caller does not have. */
export async function responsesRequest(
  body: Record<string, unknown>,
  context: GenerationContext,
  store: ResponseStore,
): Promise<ResponsesRequest> {
  refuseFields(body, refused)
  const fields = parseBody(bodySchema, body)
  const given = fields.tools ?? []
  const selection = selectTools(
    toolsOf(given, (index) => `tools[${index}]`),
    choiceOf(fields.tool_choice),
  )
  const earlier = fields.previous_response_id ? await conversationOf(fields.previous_response_id, store) : []
  const messages = [...earlier, ...messagesOfInput(fields.input)]
  if (messages.length > limits.messages)
    throw invalidParameter(
      'input',
      `the conversation has ${messages.length} messages; at most ${limits.messages} are accepted`,
    )
  const wantsLogprobs = fields.include?.includes('message.output_text.logprobs') || Boolean(fields.top_logprobs)
  return {
    request: {
      ...requestDefaults(context),
      prompt: {
        kind: 'messages',
        messages: fields.instructions ? [{ role: 'system', content: fields.instructions }, ...messages] : messages,
        ...selection,
        parallelToolCalls: fields.parallel_tool_calls ?? true,
      },
      maxTokens: fields.max_output_tokens ?? null,
      sampling: samplingOf(fields),
      ignoreEos: fields.ignore_eos ?? false,
      topLogprobs: wantsLogprobs ? (fields.top_logprobs ?? 0) : null,
      constraint: textFormatConstraint(fields.text?.format),
    },
    isStreamed: fields.stream ?? false,
    isStored: fields.store ?? true,
    messages,
    echoed: {
      instructions: fields.instructions ?? null,
      max_output_tokens: fields.max_output_tokens ?? null,
      metadata: fields.metadata ?? {},
      parallel_tool_calls: fields.parallel_tool_calls ?? true,
      previous_response_id: fields.previous_response_id ?? null,
      temperature: fields.temperature ?? null,
      text: { format: fields.text?.format ?? { type: 'text' } },
      tool_choice: fields.tool_choice ?? 'auto',
      tools: given.map(({ type, name, description, parameters, strict }) => ({
        type,
        name,
        description: description ?? null,
        parameters: parameters ?? null,
        strict: strict ?? true,
      })),
      top_logprobs: fields.top_logprobs ?? 0,
      top_p: fields.top_p ?? null,
      ...(fields.user ? { user: fields.user } : {}),
    },
  }
}

async function conversationOf(id: string, store: ResponseStore): Promise<readonly ChatMessage[]> {
  const stored = await store.get(id)
  const field = 'previous_response_id'
  if (!stored) throw doesNotExist(`${field}: there is no stored response ${id} of yours.`, field)
  return stored.messages
}

function choiceOf(choice: z.infer<typeof toolChoiceField>): GivenChoice | undefined {
  if (choice === undefined || choice === null) return undefined
  if (typeof choice === 'string') return choice
  if ('name' in choice) return choice
  return { mode: choice.mode, only: choice.tools.map(({ name }) => name) }
}
