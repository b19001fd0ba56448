/** What led to a stored response, listed as OpenAI lists it: a page of items, the newest first unless asked otherwise. */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import type { ChatMessage } from '#contracts/generation.ts'
import { parseBody } from '#contracts/parse.ts'
import type { StoredResponse } from '../../response-store.ts'

const mostListed = 100

const querySchema = z.object({
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, `expected a number from 1 to ${mostListed}`)
    .transform(Number)
    .refine((limit) => limit <= mostListed, `expected a number from 1 to ${mostListed}`)
    .default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().max(256).optional(),
})

/**
 * Returns a `list` of the conversation ahead of the reply, without instructions.
 *
 * @throws {ServingError} 400 naming the parameter at fault, an `after` that is no item's id among them.
 */
export function inputItemsPage(responseId: string, { messages }: StoredResponse, query: URLSearchParams) {
  const { limit, order, after } = parseBody(querySchema, Object.fromEntries(query))
  const items = messages.slice(0, -1).flatMap(itemsOf).map(numbered(responseId))
  if (order === 'desc') items.reverse()
  const start = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1
  if (after !== undefined && start === 0) throw invalidParameter('after', 'is no id of an item of this response.')
  const data = items.slice(start, start + limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? '',
    last_id: data.at(-1)?.id ?? '',
    has_more: start + limit < items.length,
  }
}

interface Item {
  type: 'message' | 'function_call' | 'function_call_output'
  status: 'completed'
  [field: string]: unknown
}

/** A turn as items: what was said, the calls that it made, or the output of one. */
function itemsOf({ role, content, toolCalls = [], toolCallId }: ChatMessage): Item[] {
  const status = 'completed' as const
  if (role === 'tool') return [{ type: 'function_call_output', status, call_id: toolCallId, output: content }]
  const part =
    role === 'assistant'
      ? { type: 'output_text', text: content, annotations: [], logprobs: [] }
      : { type: 'input_text', text: content }
  const said: Item = { type: 'message', status, role, content: [part] }
  const calls = toolCalls.map(
    ({ id, name, arguments: text }): Item => ({
      type: 'function_call',
      status,
      call_id: id,
      name,
      arguments: text,
    }),
  )
  return content === '' && calls.length > 0 ? calls : [said, ...calls]
}

const prefixes: Readonly<Record<Item['type'], string>> = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
}

/** Items have no ids of their own in the store; their place in the conversation never changes. */
function numbered(responseId: string) {
  const end = responseId.replace(/^resp_/, '')
  return (item: Item, index: number) => ({
    id: `${prefixes[item.type]}_${end}in${index + 1}`,
    ...item,
  })
}
