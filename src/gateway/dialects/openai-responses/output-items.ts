/**
 * The output of a response as it grows: items in the order in which the model begins them, each with its events. A reply in one
 * piece goes the same way and leaves the events unsaid, so that both can never differ.
 */
import type { ChatMessage, GenerationEvent, TokenLogprob } from '#contracts/generation.ts'
import { tokenLogprob } from '../openai-values.ts'

type Status = 'in_progress' | 'completed' | 'incomplete'

interface TextPart {
  type: 'output_text'
  text: string
  annotations: never[]
  logprobs: ReturnType<typeof tokenLogprob>[]
}

interface ReasoningItem {
  id: string
  type: 'reasoning'
  summary: { type: 'summary_text'; text: string }[]
  status: Status
}

interface MessageItem {
  id: string
  type: 'message'
  status: Status
  role: 'assistant'
  content: TextPart[]
}

interface CallItem {
  id: string
  type: 'function_call'
  status: Status
  call_id: string
  name: string
  arguments: string
}

type OutputItem = ReasoningItem | MessageItem | CallItem

/** Says one event; `type` lacks the prefix `response.`. */
export type Say = (type: string, facts: object) => void

export class OutputItems {
  readonly items: OutputItem[] = []
  #isOpen = false
  readonly #say: Say
  readonly #idEnd: string

  /** @param idEnd what the ids of all items end in. */
  constructor(say: Say, idEnd: string) {
    this.#say = say
    this.#idEnd = idEnd
  }

  reason(text: string): void {
    const item = this.#current('reasoning') ?? this.#openReasoning()
    item.summary[0]!.text += text
    this.#say('reasoning_summary_text.delta', { ...this.#place(item), summary_index: 0, delta: text })
  }

  write(text: string, logprobs: readonly TokenLogprob[] = []): void {
    const item = this.#current('message') ?? this.#openMessage()
    const part = item.content[0]!
    const listed = logprobs.map(tokenLogprob)
    part.text += text
    part.logprobs.push(...listed)
    const facts = { ...this.#place(item), content_index: 0, delta: text, logprobs: listed.map(withoutBytes) }
    this.#say('output_text.delta', facts)
  }

  call({ id, name }: Extract<GenerationEvent, { type: 'tool-call-start' }>): void {
    this.#open({ id: this.#id('fc'), type: 'function_call', status: 'in_progress', call_id: id, name, arguments: '' })
  }

  fillCall(text: string): void {
    const item = this.#current('function_call')!
    item.arguments += text
    this.#say('function_call_arguments.delta', { ...this.#place(item), delta: text })
  }

  /** Ends the item that is open; a response without any gets an empty message. */
  end(isWhole: boolean): void {
    if (this.items.length === 0) this.#openMessage()
    this.#close(isWhole ? 'completed' : 'incomplete')
  }

  /** Leaves the item that is open as far as it came, for a response that has failed. */
  breakOff(): void {
    const last = this.#isOpen ? this.items.at(-1) : undefined
    if (last) last.status = 'incomplete'
    this.#isOpen = false
  }

  /** The turn as later requests are to know it. */
  message(): ChatMessage {
    const calls = this.items.flatMap((item) =>
      item.type === 'function_call' ? [{ id: item.call_id, name: item.name, arguments: item.arguments }] : [],
    )
    const text = this.items.map((item) => (item.type === 'message' ? item.content[0]!.text : '')).join('')
    return { role: 'assistant', content: text, ...(calls.length > 0 ? { toolCalls: calls } : {}) }
  }

  #current<Type extends OutputItem['type']>(type: Type): Extract<OutputItem, { type: Type }> | undefined {
    const last = this.#isOpen ? this.items.at(-1) : undefined
    return last?.type === type ? (last as Extract<OutputItem, { type: Type }>) : undefined
  }

  #openReasoning(): ReasoningItem {
    const item = this.#open<ReasoningItem>({
      id: this.#id('rs'),
      type: 'reasoning',
      summary: [],
      status: 'in_progress',
    })
    const part = { type: 'summary_text' as const, text: '' }
    this.#say('reasoning_summary_part.added', { ...this.#place(item), summary_index: 0, part })
    item.summary.push(part)
    return item
  }

  #openMessage(): MessageItem {
    const item = this.#open<MessageItem>({
      id: this.#id('msg'),
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      content: [],
    })
    const part: TextPart = { type: 'output_text', text: '', annotations: [], logprobs: [] }
    this.#say('content_part.added', { ...this.#place(item), content_index: 0, part })
    item.content.push(part)
    return item
  }

  #open<Item extends OutputItem>(item: Item): Item {
    this.#close('completed')
    this.items.push(item)
    this.#isOpen = true
    this.#say('output_item.added', { output_index: this.items.length - 1, item })
    return item
  }

  #close(status: Status): void {
    const item = this.items.at(-1)
    if (!this.#isOpen || !item) return
    this.#isOpen = false
    item.status = status
    const place = this.#place(item)
    if (item.type === 'reasoning') {
      const [part] = item.summary
      this.#say('reasoning_summary_text.done', { ...place, summary_index: 0, text: part!.text })
      this.#say('reasoning_summary_part.done', { ...place, summary_index: 0, part })
    } else if (item.type === 'message') {
      const [part] = item.content
      const logprobs = part!.logprobs.map(withoutBytes)
      this.#say('output_text.done', { ...place, content_index: 0, text: part!.text, logprobs })
      this.#say('content_part.done', { ...place, content_index: 0, part })
    } else this.#say('function_call_arguments.done', { ...place, name: item.name, arguments: item.arguments })
    this.#say('output_item.done', { output_index: place.output_index, item })
  }

  #place({ id }: OutputItem) {
    return { item_id: id, output_index: this.items.length - 1 }
  }

  #id(prefix: string): string {
    return `${prefix}_${this.#idEnd}${this.items.length}`
  }
}

/** Events name tokens by their text alone; their bytes stand in the item. */
function withoutBytes({ token, logprob, top_logprobs }: TextPart['logprobs'][number]) {
  return { token, logprob, top_logprobs: top_logprobs.map((other) => ({ token: other.token, logprob: other.logprob })) }
}
