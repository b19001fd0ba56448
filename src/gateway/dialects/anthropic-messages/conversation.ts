/** Anthropic's conversation in ours: results of tools become turns of their own, thinking is left out, other content is refused. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage, ToolCall } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { textField } from '../generation-fields.ts'

const blocksField = z.array(z.looseObject({ type: z.string() })).max(limits.messages)
const contentField = z.union([textField, blocksField], 'expected a string or a list of content blocks')
type Content = z.infer<typeof contentField>

export const messagesField = z
  .array(
    z.object({
      role: z.enum(['user', 'assistant', 'system']),
      content: contentField,
    }),
  )
  .min(1)
  .max(limits.messages)

export const systemField = contentField.nullish()

const textBlock = z.object({ text: textField })
const callBlock = z.object({
  id: z.string().min(1).max(256),
  name: z.string().min(1).max(256),
  input: z.unknown().optional(),
})
const resultBlock = z.object({ tool_use_id: z.string().min(1).max(256), content: contentField.nullish() })

/** @throws {ServingError} 400 naming the message and the block. */
export function conversationOf(
  system: Content | null | undefined,
  messages: z.infer<typeof messagesField>,
): ChatMessage[] {
  if (messages.at(-1)?.role === 'assistant')
    throw invalidParameter(
      `messages[${messages.length - 1}].role`,
      'expected the last message from the user: a reply cannot be begun for the model',
    )
  const instructions = plainText(system ?? '', 'system')
  return [
    ...(instructions === '' ? [] : [{ role: 'system' as const, content: instructions }]),
    ...messages.flatMap(({ role, content }, index) => turnsOf(role, content, `messages[${index}].content`)),
  ]
}

function turnsOf(role: 'user' | 'assistant' | 'system', content: Content, at: string): ChatMessage[] {
  if (typeof content === 'string') return [{ role, content }]
  const texts: string[] = []
  const toolCalls: ToolCall[] = []
  const results: ChatMessage[] = []
  for (const [index, block] of content.entries()) {
    const where = `${at}[${index}]`
    if (block.type === 'text') texts.push(parseBody(textBlock, block, where).text)
    else if (block.type === 'tool_use' && role === 'assistant') {
      const { id, name, input } = parseBody(callBlock, block, where)
      toolCalls.push({ id, name, arguments: JSON.stringify(input ?? {}) })
    } else if (block.type === 'tool_result' && role === 'user') {
      const { tool_use_id, content: result } = parseBody(resultBlock, block, where)
      results.push({ role: 'tool', content: plainText(result ?? '', `${where}.content`), toolCallId: tool_use_id })
    } else if (!isThinking(block.type)) throw foreignBlock(where, block.type, role)
  }
  // Results answer the calls of the turn before, so they come ahead of what the user says besides.
  const isOnlyResults = results.length > 0 && texts.length === 0
  const said: ChatMessage = { role, content: texts.join(''), ...(toolCalls.length > 0 ? { toolCalls } : {}) }
  return isOnlyResults ? results : [...results, said]
}

function plainText(content: Content, at: string): string {
  if (typeof content === 'string') return content
  const texts = content.map((block, index) => {
    if (block.type === 'text') return parseBody(textBlock, block, `${at}[${index}]`).text
    throw foreignBlock(`${at}[${index}]`, block.type)
  })
  return texts.join('')
}

function isThinking(type: string): boolean {
  return type === 'thinking' || type === 'redacted_thinking'
}

function foreignBlock(at: string, type: string, role?: string) {
  const expected =
    role === 'assistant' ? '"text" or "tool_use"' : role === 'user' ? '"text" or "tool_result"' : '"text"'
  return invalidParameter(
    at,
    `the model reads text only; expected a block of type ${expected}, "${type.slice(0, 40)}" came`,
  )
}
