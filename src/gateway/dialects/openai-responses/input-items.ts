/** The `input` of a Responses request as a conversation. Calls of one turn are one assistant's message, as templates want them. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { textField } from '../generation-fields.ts'
import { contentText } from '../openai-chat/messages.ts'

const itemField = z.looseObject({ type: z.string().nullish() })

export const inputField = z.union(
  [textField, z.array(itemField).min(1).max(limits.messages)],
  'expected a string or a list of items',
)

const contentField = z.union(
  [textField, z.array(z.looseObject({ type: z.string() })).max(limits.messages)],
  'expected a string or a list of text parts',
)

const messageItem = z.object({
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: contentField,
})

const callItem = z.object({
  call_id: z.string().min(1).max(256),
  name: z.string().min(1).max(256),
  arguments: textField,
})

const outputItem = z.object({ call_id: z.string().min(1).max(256), output: contentField })

/** @throws {ServingError} 400 naming the item at fault. */
export function messagesOfInput(input: z.infer<typeof inputField>): ChatMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  const messages: ChatMessage[] = []
  for (const [index, item] of input.entries()) {
    const at = `input[${index}]`
    switch (item.type) {
      case undefined:
      case null:
      case 'message': {
        const { role, content } = parseBody(messageItem, item, at)
        messages.push({ role, content: contentText(content, `${at}.content`) })
        break
      }
      case 'function_call': {
        const { call_id, name, arguments: text } = parseBody(callItem, item, at)
        const call = { id: call_id, name, arguments: text }
        const last = messages.at(-1)
        if (last?.role === 'assistant')
          messages[messages.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), call] }
        else messages.push({ role: 'assistant', content: '', toolCalls: [call] })
        break
      }
      case 'function_call_output': {
        const { call_id, output } = parseBody(outputItem, item, at)
        messages.push({ role: 'tool', content: contentText(output, `${at}.output`), toolCallId: call_id })
        break
      }
      case 'reasoning':
        break
      case 'item_reference':
        throw invalidParameter(
          at,
          'references to single items are not supported; send the item itself, or go on from a whole response with previous_response_id',
        )
      default:
        throw invalidParameter(
          `${at}.type`,
          `expected "message", "function_call", "function_call_output" or "reasoning", "${item.type.slice(0, 40)}" came`,
        )
    }
  }
  return messages
}
