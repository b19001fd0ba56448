/** Anthropic's messages, in; and the same body without `max_tokens`, whose tokens are only to be counted. */
import * as z from 'zod'
import type { GenerationRequest } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { schemaConstraint } from '../constraint-fields.ts'
import { flagField, neutralSampling, refuseFields } from '../generation-fields.ts'
import { type GenerationContext, requestDefaults } from '../generation-plan.ts'
import { type GivenChoice, parametersField, selectTools, toolNameField, toolsOf } from '../tool-fields.ts'
import { conversationOf, messagesField, systemField } from './conversation.ts'

const toolField = z.object({
  type: z.literal('custom').nullish(),
  name: toolNameField,
  description: z.string().nullish(),
  input_schema: parametersField,
})

const toolChoiceField = z
  .discriminatedUnion(
    'type',
    [
      z.object({ type: z.literal('auto'), disable_parallel_tool_use: flagField }),
      z.object({ type: z.literal('any'), disable_parallel_tool_use: flagField }),
      z.object({ type: z.literal('tool'), name: z.string(), disable_parallel_tool_use: flagField }),
      z.object({ type: z.literal('none') }),
    ],
    'expected "auto", "any", "tool" or "none"',
  )
  .nullish()

const countSchema = z.object({
  messages: messagesField,
  system: systemField,
  tools: z.array(toolField).nullish(),
  tool_choice: toolChoiceField,
})

const bodySchema = countSchema.extend({
  max_tokens: z.number().int().min(1),
  stop_sequences: z.array(z.string().min(1).max(limits.stopTextLength)).max(limits.stopTexts).nullish(),
  stream: flagField,
  temperature: z.number().min(0).max(1).nullish(),
  top_k: z.number().int().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  output_config: z
    .object({
      format: z.object({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }).nullish(),
    })
    .nullish(),
})

const refused: Readonly<Record<string, string>> = {
  container: 'containers are not supported; leave it out.',
  mcp_servers: 'servers of tools are not called from here; leave it out.',
  context_management: 'is not supported; leave it out.',
}

export interface MessagesRequest {
  request: GenerationRequest
  isStreamed: boolean
}

/** @throws {ServingError} 400 naming the field at fault. */
export function messagesRequest(body: Record<string, unknown>, context: GenerationContext): MessagesRequest {
  refuseFields(body, refused)
  const fields = parseBody(bodySchema, body)
  const format = fields.output_config?.format
  return {
    request: {
      ...countRequestOf(fields, context),
      maxTokens: fields.max_tokens,
      sampling: {
        ...neutralSampling,
        temperature: fields.temperature ?? null,
        topK: fields.top_k ?? null,
        topP: fields.top_p ?? null,
      },
      stop: fields.stop_sequences ?? [],
      constraint: format ? schemaConstraint(format.schema, 'output_config.format.schema') : null,
    },
    isStreamed: fields.stream ?? false,
  }
}

/** A request that reads the prompt and writes nothing. @throws {ServingError} 400 naming the field at fault. */
export function countRequest(body: Record<string, unknown>, context: GenerationContext): GenerationRequest {
  return countRequestOf(parseBody(countSchema, body), context)
}

function countRequestOf(fields: z.infer<typeof countSchema>, context: GenerationContext): GenerationRequest {
  const tools = toolsOf(
    (fields.tools ?? []).map(({ name, description, input_schema }) => ({
      name,
      description,
      parameters: input_schema,
    })),
    (index) => `tools[${index}]`,
  )
  const choice = fields.tool_choice
  return {
    ...requestDefaults(context),
    prompt: {
      kind: 'messages',
      messages: conversationOf(fields.system, fields.messages),
      ...selectTools(tools, choiceOf(choice)),
      parallelToolCalls: !(choice && 'disable_parallel_tool_use' in choice && choice.disable_parallel_tool_use),
    },
    maxTokens: 0,
    sampling: neutralSampling,
  }
}

function choiceOf(choice: z.infer<typeof toolChoiceField>): GivenChoice | undefined {
  if (!choice) return undefined
  if (choice.type === 'tool') return { name: choice.name }
  return choice.type === 'any' ? 'required' : choice.type
}
