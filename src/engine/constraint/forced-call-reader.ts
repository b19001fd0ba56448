/**
 * Reads calls whose text the grammar has fixed but for names and arguments. Fixed parts are skipped by length, names are held until
 * they end, and arguments go out as they come.
 */
import { afterArguments, beforeArguments, beforeName, betweenCalls } from './tool-call-text.ts'
import type { ToolCallPiece, ToolCallReader } from './tool-call-types.ts'

export class ForcedCallReader implements ToolCallReader {
  #part: 'fixed' | 'name' | 'arguments' = 'fixed'
  #next: 'name' | 'arguments' = 'name'
  /** Characters of the fixed part still to come. */
  #skip: number
  #name = ''
  #call = 0
  #depth = 0
  #isInString = false
  #isEscaped = false

  constructor(isList: boolean) {
    this.#skip = beforeName.length + (isList ? 1 : 0)
  }

  push(text: string): ToolCallPiece[] {
    const pieces: ToolCallPiece[] = []
    let written = ''
    for (const letter of text) {
      if (this.#part === 'fixed') this.#skipOne()
      else if (this.#part === 'name') this.#readName(letter, pieces)
      else {
        written += letter
        if (!this.#endsArguments(letter)) continue
        pieces.push({ type: 'arguments', call: this.#call++, text: written })
        written = ''
        this.#expect('name', afterArguments.length + betweenCalls.length + beforeName.length)
      }
    }
    if (written !== '') pieces.push({ type: 'arguments', call: this.#call, text: written })
    return pieces
  }

  /** Nothing is held back but a name whose end is missing, and a call without a name is none. */
  end(): ToolCallPiece[] {
    return []
  }

  #expect(next: 'name' | 'arguments', skip: number): void {
    this.#part = 'fixed'
    this.#next = next
    this.#skip = skip
  }

  #skipOne(): void {
    if (--this.#skip === 0) this.#part = this.#next
  }

  #readName(letter: string, pieces: ToolCallPiece[]): void {
    this.#name += letter
    this.#follow(letter)
    if (this.#isInString) return
    pieces.push({ type: 'start', call: this.#call, name: String(JSON.parse(this.#name)) })
    this.#name = ''
    this.#expect('arguments', beforeArguments.length)
  }

  #endsArguments(letter: string): boolean {
    const wasInString = this.#isInString
    this.#follow(letter)
    if (wasInString || this.#isInString) return false
    if (letter === '{' || letter === '[') this.#depth++
    if (letter === '}' || letter === ']') this.#depth--
    return this.#depth === 0
  }

  #follow(letter: string): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (letter === '\\') this.#isEscaped = true
    else if (letter === '"') this.#isInString = !this.#isInString
  }
}
