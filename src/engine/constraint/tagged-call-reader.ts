/**
 * Reads free text in which a model may write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`. From the first character of a tag
 * text is held back until it is decided: what becomes no call stays text, letter by letter as it came.
 */
import { closeTag, openTag } from './tool-call-text.ts'
import type { ToolCallPiece, ToolCallReader } from './tool-call-types.ts'

export class TaggedCallReader implements ToolCallReader {
  #held = ''
  #isInCall = false
  #calls = 0
  /** Between calls, whitespace belongs to neither. */
  #isAfterCall = false

  push(text: string): ToolCallPiece[] {
    this.#held += text
    const pieces: ToolCallPiece[] = []
    for (;;) {
      const tag = this.#isInCall ? closeTag : openTag
      const at = this.#held.indexOf(tag)
      if (at < 0) break
      const before = this.#held.slice(0, at)
      this.#held = this.#held.slice(at + tag.length)
      if (this.#isInCall) this.#readCall(before, closeTag, pieces)
      else this.#readText(before, pieces)
      this.#isInCall = !this.#isInCall
    }
    if (!this.#isInCall) {
      const keep = undecided(this.#held, this.#isAfterCall)
      this.#readText(this.#held.slice(0, this.#held.length - keep), pieces)
      this.#held = this.#held.slice(this.#held.length - keep)
    }
    return joined(pieces)
  }

  end(): ToolCallPiece[] {
    const pieces: ToolCallPiece[] = []
    // A model may stop instead of closing its last call.
    if (this.#isInCall) this.#readCall(this.#held, '', pieces)
    else this.#readText(this.#held, pieces)
    this.#held = ''
    this.#isInCall = false
    return joined(pieces)
  }

  #readText(text: string, pieces: ToolCallPiece[]): void {
    if (text === '' || (this.#isAfterCall && text.trim() === '')) return
    this.#isAfterCall = false
    pieces.push({ type: 'text', text })
  }

  #readCall(content: string, close: string, pieces: ToolCallPiece[]): void {
    const parsed = parseCall(content)
    if (!parsed) {
      this.#isAfterCall = false
      pieces.push({ type: 'text', text: `${openTag}${content}${close}` })
      return
    }
    const call = this.#calls++
    this.#isAfterCall = true
    pieces.push({ type: 'start', call, name: parsed.name }, { type: 'arguments', call, text: parsed.arguments })
  }
}

function parseCall(content: string): { name: string; arguments: string } | null {
  const value = parseJson(content)
  if (!isRecord(value) || typeof value.name !== 'string' || !isRecord(value.arguments)) return null
  return { name: value.name, arguments: JSON.stringify(value.arguments) }
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content)
  } catch {
    // What a model writes between tags need not be JSON; the caller keeps it as text.
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Characters at the end that may become a tag, or between two calls are whitespace so far. */
function undecided(text: string, isAfterCall: boolean): number {
  let length = Math.min(text.length, openTag.length - 1)
  while (!openTag.startsWith(text.slice(text.length - length))) length--
  return isAfterCall && text.slice(0, text.length - length).trim() === '' ? text.length : length
}

/** Neighbouring texts as one. */
function joined(pieces: readonly ToolCallPiece[]): ToolCallPiece[] {
  const whole: ToolCallPiece[] = []
  for (const piece of pieces) {
    const last = whole.at(-1)
    if (piece.type === 'text' && last?.type === 'text')
      whole[whole.length - 1] = { type: 'text', text: last.text + piece.text }
    else whole.push(piece)
  }
  return whole
}
