/** OpenAI's (legacy) completions, in: one request for each prompt. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { GenerationRequest, Prompt } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { constraintOf, guidedFields, responseFormatField } from '../constraint-fields.ts'
import type { FieldNames } from '../field-names.ts'
import {
  choicesField,
  flagField,
  refusedExtras,
  refuseFields,
  samplingFields,
  samplingOf,
  stopField,
  stopOf,
  textField,
} from '../generation-fields.ts'
import { type GenerationContext, requestDefaults } from '../generation-plan.ts'

/** Each is a generation of its own, and as many wait at most on one replica. */
const mostPrompts = limits.generationQueue

const tokenField = z.number().int().nonnegative()
const tokensField = z.array(tokenField).min(1)

const bodySchema = z.object({
  prompt: z.union(
    [
      textField,
      z
        .array(z.union([textField, tokenField, tokensField], 'expected a string, a token id or a list of token ids'))
        .min(1),
    ],
    'expected a string, a list of strings, a list of token ids or a list of such lists',
  ),
  echo: flagField,
  n: choicesField,
  best_of: z.number().int().min(1).nullish(),
  logprobs: z.number().int().min(0).max(limits.topLogprobs).nullish(),
  max_tokens: z.number().int().min(0).nullish(),
  stop: stopField,
  stream: flagField,
  stream_options: z.object({ include_usage: flagField }).nullish(),
  response_format: responseFormatField,
  ...samplingFields,
  ...guidedFields,
})

const refused: Readonly<Record<string, string>> = {
  ...refusedExtras,
  chat_template_kwargs: 'has no effect on a prompt that is a text; use messages, or leave it out.',
  suffix: 'is not supported: the model writes on from the prompt and does not know what is to follow.',
}

export interface CompletionsRequest {
  requests: GenerationRequest[]
  isStreamed: boolean
  includesUsage: boolean
  /** The fields that the host names otherwise, for each request. */
  names: readonly FieldNames[]
}

/** @throws {ServingError} 400 naming the field at fault. */
export function completionsRequest(body: Record<string, unknown>, context: GenerationContext): CompletionsRequest {
  refuseFields(body, refused)
  const fields = parseBody(bodySchema, body)
  const choices = fields.n ?? 1
  if (fields.best_of && fields.best_of !== choices)
    throw invalidParameter(
      'best_of',
      `choices are not ranked; expected n (${choices}) or nothing, ${fields.best_of} came`,
    )
  if (fields.max_tokens === 0) checkEchoAlone(fields)
  const { constraint, names } = constraintOf(fields)
  const common = {
    ...requestDefaults(context),
    choices,
    // OpenAI's default.
    maxTokens: fields.max_tokens ?? 16,
    sampling: samplingOf(fields),
    stop: stopOf(fields.stop),
    ignoreEos: fields.ignore_eos ?? false,
    topLogprobs: fields.logprobs ?? null,
    echo: fields.echo ?? false,
    constraint,
  }
  const prompts = promptsOf(fields.prompt)
  const isList = Array.isArray(fields.prompt) && typeof fields.prompt[0] !== 'number'
  return {
    requests: prompts.map((prompt) => ({ ...common, prompt })),
    isStreamed: fields.stream ?? false,
    includesUsage: fields.stream_options?.include_usage ?? false,
    names: prompts.map((_, index) => (isList ? [...names, ['prompt', `prompt[${index}]`]] : names)),
  }
}

/** @throws {ServingError} 400 for a reply without tokens that is not just the prompt. */
function checkEchoAlone({ echo, logprobs }: z.infer<typeof bodySchema>): void {
  if (!echo) throw invalidParameter('max_tokens', '0 leaves nothing to answer; expected at least 1, or echo true')
  if (logprobs !== undefined && logprobs !== null)
    throw invalidParameter('logprobs', 'the prompt itself has no log probabilities; leave it out with max_tokens 0')
}

function promptsOf(prompt: z.infer<typeof bodySchema>['prompt']): Prompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }]
  // Numbers beside each other are one prompt.
  if (prompt.every((one) => typeof one === 'number')) return [{ kind: 'tokens', tokens: prompt }]
  if (prompt.length > mostPrompts)
    throw invalidParameter('prompt', `${prompt.length} prompts are more than the ${mostPrompts} allowed`)
  return prompt.map((one, index) => {
    if (typeof one === 'number')
      throw invalidParameter(`prompt[${index}]`, `expected a prompt like the others, the token id ${one} came`)
    return typeof one === 'string' ? { kind: 'text', text: one } : { kind: 'tokens', tokens: one }
  })
}
