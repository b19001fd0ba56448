/**
 * A message's content as it grows: blocks in the order in which the model begins them, each with its events. A reply in one
 * piece goes the same way and leaves the events unsaid.
 */
import { isRecord } from '../../enforce-schema.ts'
import { typedEvent } from '../../sse.ts'

type Block =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'text'; text: string; citations: null }
  | { type: 'tool_use'; id: string; name: string; caller: { type: 'direct' }; input: unknown }

export class ContentBlocks {
  readonly blocks: Block[] = []
  #isOpen = false
  /** The open call's arguments so far. */
  #arguments = ''

  think(text: string): string {
    const opened = this.#opened('thinking', () => ({ type: 'thinking', thinking: '', signature: '' }))
    const block = this.blocks.at(-1) as Extract<Block, { type: 'thinking' }>
    block.thinking += text
    return opened + this.#delta({ type: 'thinking_delta', thinking: text })
  }

  write(text: string): string {
    const opened = this.#opened('text', () => ({ type: 'text', text: '', citations: null }))
    const block = this.blocks.at(-1) as Extract<Block, { type: 'text' }>
    block.text += text
    return opened + this.#delta({ type: 'text_delta', text })
  }

  call(id: string, name: string): string {
    return this.#open({ type: 'tool_use', id, name, caller: { type: 'direct' }, input: {} })
  }

  fillCall(text: string): string {
    this.#arguments += text
    return this.#delta({ type: 'input_json_delta', partial_json: text })
  }

  end(): string {
    if (!this.#isOpen) return ''
    this.#isOpen = false
    const block = this.blocks.at(-1)!
    if (block.type === 'tool_use') block.input = inputOf(this.#arguments)
    return typedEvent({ type: 'content_block_stop', ...this.#place() })
  }

  #opened(type: Block['type'], fresh: () => Block): string {
    return this.#isOpen && this.blocks.at(-1)?.type === type ? '' : this.#open(fresh())
  }

  #open(block: Block): string {
    const ended = this.end()
    this.blocks.push(block)
    this.#isOpen = true
    this.#arguments = ''
    return ended + typedEvent({ type: 'content_block_start', ...this.#place(), content_block: block })
  }

  #delta(delta: object): string {
    return typedEvent({ type: 'content_block_delta', ...this.#place(), delta })
  }

  #place() {
    return { index: this.blocks.length - 1 }
  }
}

/** A call that `max_tokens` has cut off has no whole arguments; the stop reason says so, and the input stays empty. */
function inputOf(text: string): unknown {
  try {
    const input: unknown = JSON.parse(text)
    return isRecord(input) ? input : {}
  } catch {
    return {}
  }
}
