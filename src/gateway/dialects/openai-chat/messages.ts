/** The conversation of a chat request. Text parts are joined; what is no text is refused by its kind and place. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage, ToolCall } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { refuseFields, textField } from '../generation-fields.ts'

const contentField = z
  .union(
    [textField, z.array(z.looseObject({ type: z.string() })).max(limits.messages)],
    'expected a string or a list of text parts',
  )
  .nullish()

const callField = z.object({
  id: z.string().min(1).max(256),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string().min(1).max(256), arguments: textField }),
})

const messageField = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: contentField,
  name: z.string().max(256).nullish(),
  tool_calls: z.array(callField).max(limits.tools).nullish(),
  tool_call_id: z.string().min(1).max(256).nullish(),
  function_call: z.unknown().optional(),
  audio: z.unknown().optional(),
})

const refused: Readonly<Record<string, string>> = {
  function_call: 'is deprecated and not supported; use tool_calls.',
  audio: 'the model reads text only; send what was said.',
}

export const messagesField = z.array(messageField).min(1).max(limits.messages)

type MessageBody = z.infer<typeof messageField>

/** @throws {ServingError} 400 naming the message and the part. */
export function messagesOf(bodies: readonly MessageBody[]): ChatMessage[] {
  return bodies.map((body, index) => messageOf(body, `messages[${index}]`))
}

function messageOf(body: MessageBody, at: string): ChatMessage {
  refuseFields(body, refused, `${at}.`)
  const calls = body.tool_calls ?? []
  if (calls.length > 0 && body.role !== 'assistant')
    throw invalidParameter(`${at}.tool_calls`, `only an assistant calls tools, not the role "${body.role}"`)
  if (body.role === 'tool' && !body.tool_call_id)
    throw invalidParameter(`${at}.tool_call_id`, 'is missing; expected the id of the call that this message answers')
  const isEmptyAllowed = body.role === 'assistant'
  if ((body.content === null || body.content === undefined) && !isEmptyAllowed)
    throw invalidParameter(
      `${at}.content`,
      `${body.content === null ? 'null came' : 'is missing'}; expected a string or a list of text parts`,
    )
  return {
    role: body.role,
    content: contentText(body.content, `${at}.content`),
    ...(body.name ? { name: body.name } : {}),
    ...(calls.length > 0 ? { toolCalls: calls.map(toolCallOf) } : {}),
    ...(body.role === 'tool' ? { toolCallId: body.tool_call_id! } : {}),
  }
}

function toolCallOf({ id, function: { name, arguments: text } }: z.infer<typeof callField>): ToolCall {
  return { id, name, arguments: text }
}

const textKinds: readonly string[] = ['text', 'input_text', 'output_text']

/**
 * The text of a content, its parts joined as they are. An assistant's earlier reasoning is left out, as templates want it.
 *
 * @throws {ServingError} 400 for a part that is no text.
 */
export function contentText(content: z.infer<typeof contentField>, at: string): string {
  if (content === null || content === undefined) return ''
  if (typeof content === 'string') return content
  const texts = content.map((part, index) => {
    const { type, text, refusal } = part as Record<string, unknown>
    if (textKinds.includes(type as string) && typeof text === 'string') return text
    if (type === 'refusal' && typeof refusal === 'string') return refusal
    if (type === 'reasoning') return ''
    if (textKinds.includes(type as string))
      throw invalidParameter(`${at}[${index}].text`, 'is missing; expected a string')
    throw invalidParameter(
      `${at}[${index}]`,
      `the model reads text only; expected a part of type "text", "${String(type).slice(0, 40)}" came`,
    )
  })
  return texts.join('')
}
