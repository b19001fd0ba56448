/** OpenAI's chat completions, in. Every documented field is honoured, refused by name, or a hint that cannot change the answer. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { GenerationRequest } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { constraintOf, guidedFields, responseFormatField } from '../constraint-fields.ts'
import type { FieldNames } from '../field-names.ts'
import {
  choicesField,
  flagField,
  mostTokensField,
  refusedExtras,
  refuseFields,
  samplingFields,
  samplingOf,
  stopField,
  stopOf,
} from '../generation-fields.ts'
import { type GenerationContext, requestDefaults } from '../generation-plan.ts'
import { type GivenChoice, parametersField, selectTools, toolNameField, toolsOf } from '../tool-fields.ts'
import { messagesField, messagesOf } from './messages.ts'

const functionField = z.object({
  name: toolNameField,
  description: z.string().nullish(),
  parameters: parametersField,
  strict: z.boolean().nullish(),
})

const toolsField = z
  .array(
    z.object({
      type: z.literal('function'),
      function: functionField,
    }),
  )
  .nullish()

const chosenField = z.object({ type: z.literal('function').optional(), function: z.object({ name: z.string() }) })

const toolChoiceField = z
  .union(
    [
      z.enum(['none', 'auto', 'required']),
      chosenField,
      z.object({
        type: z.literal('allowed_tools'),
        allowed_tools: z.object({ mode: z.enum(['auto', 'required']), tools: z.array(chosenField) }),
      }),
    ],
    'expected "none", "auto", "required" or {"type": "function", "function": {"name": …}}',
  )
  .nullish()

/** vLLM's name. Which names are taken the model's template knows. */
const templateVariablesField = z
  .record(z.string().regex(/^[A-Za-z_]\w{0,63}$/, 'expected the name of a variable'), z.unknown())
  .refine(
    (variables) => JSON.stringify(variables).length <= limits.templateVariableCharacters,
    `expected at most ${limits.templateVariableCharacters} characters of JSON`,
  )
  .nullish()

const bodySchema = z.object({
  messages: messagesField,
  tools: toolsField,
  tool_choice: toolChoiceField,
  parallel_tool_calls: flagField,
  n: choicesField,
  max_tokens: mostTokensField,
  max_completion_tokens: mostTokensField,
  stop: stopField,
  logprobs: flagField,
  top_logprobs: z.number().int().min(0).max(limits.topLogprobs).nullish(),
  response_format: responseFormatField,
  modalities: z.array(z.literal('text')).nullish(),
  stream: flagField,
  stream_options: z.object({ include_usage: flagField }).nullish(),
  chat_template_kwargs: templateVariablesField,
  ...samplingFields,
  ...guidedFields,
})

const refused: Readonly<Record<string, string>> = {
  ...refusedExtras,
  functions: 'is deprecated and not supported; use tools.',
  function_call: 'is deprecated and not supported; use tool_choice.',
  audio: 'the model answers in text only.',
  web_search_options: 'the model does not search; leave it out.',
  moderation: 'replies are not moderated; leave it out.',
}

export interface ChatRequest {
  request: GenerationRequest
  isStreamed: boolean
  includesUsage: boolean
  /** The fields that the host names otherwise. */
  names: FieldNames
}

/** @throws {ServingError} 400 naming the field at fault. */
export function chatRequest(body: Record<string, unknown>, context: GenerationContext): ChatRequest {
  refuseFields(body, refused)
  const fields = parseBody(bodySchema, body)
  if (fields.logprobs !== true && fields.top_logprobs)
    throw invalidParameter('top_logprobs', 'takes effect only with logprobs true; set it or leave this out')
  const tools = toolsOf(
    (fields.tools ?? []).map((tool) => tool.function),
    (index) => `tools[${index}].function`,
  )
  const { constraint, names } = constraintOf(fields)
  return {
    request: {
      ...requestDefaults(context),
      prompt: {
        kind: 'messages',
        messages: messagesOf(fields.messages),
        ...selectTools(tools, choiceOf(fields.tool_choice)),
        parallelToolCalls: fields.parallel_tool_calls ?? true,
        ...(fields.chat_template_kwargs ? { templateVariables: fields.chat_template_kwargs } : {}),
      },
      choices: fields.n ?? 1,
      maxTokens: mostTokensOf(fields.max_completion_tokens, fields.max_tokens),
      sampling: samplingOf(fields),
      stop: stopOf(fields.stop),
      ignoreEos: fields.ignore_eos ?? false,
      topLogprobs: fields.logprobs === true ? (fields.top_logprobs ?? 0) : null,
      constraint,
    },
    isStreamed: fields.stream ?? false,
    includesUsage: fields.stream_options?.include_usage ?? false,
    names: fields.max_completion_tokens ? [...names, ['max_tokens', 'max_completion_tokens']] : names,
  }
}

function choiceOf(choice: z.infer<typeof toolChoiceField>): GivenChoice | undefined {
  if (choice === undefined || choice === null) return undefined
  if (typeof choice === 'string') return choice
  if ('function' in choice) return choice.function
  const { mode, tools } = choice.allowed_tools
  return { mode, only: tools.map((tool) => tool.function.name) }
}

function mostTokensOf(newer: number | null | undefined, older: number | null | undefined): number | null {
  if (newer && older && newer !== older)
    throw invalidParameter('max_tokens', `${older} contradicts max_completion_tokens ${newer}; give one of them`)
  return newer ?? older ?? null
}
