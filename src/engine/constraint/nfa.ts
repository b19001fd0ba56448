/**
 * Nondeterministic automata over bytes, as they are put together from expressions. A rule's automaton may step over a whole
 * other rule (a call), which is what makes recursion possible.
 */
import { limits } from '#contracts/limits.ts'
import type { ByteSequence } from './code-points.ts'
import type { Expression } from './expression.ts'
import { GrammarTooLarge } from './grammar-too-large.ts'

/** Before determinisation most states vanish again; beyond this the pattern is not worth trying. */
const mostStates = 6 * limits.constraintStates

export interface ByteEdge {
  from: number
  to: number
  target: number
}

export interface CallEdge {
  rule: number
  target: number
}

export class Nfa {
  readonly free: number[][] = []
  readonly bytes: ByteEdge[][] = []
  readonly calls: CallEdge[][] = []

  state(): number {
    if (this.free.length >= mostStates) throw new GrammarTooLarge()
    this.free.push([])
    this.bytes.push([])
    this.calls.push([])
    return this.free.length - 1
  }

  /** Steps from one state to the other without a byte. */
  skip(start: number, end: number): void {
    this.free[start]!.push(end)
  }

  add(expression: Expression, start: number, end: number): void {
    switch (expression.kind) {
      case 'bytes':
        this.#addBytes(expression.sequences, start, end)
        return
      case 'sequence': {
        let at = start
        for (const [index, part] of expression.parts.entries()) {
          const next = index === expression.parts.length - 1 ? end : this.state()
          this.add(part, at, next)
          at = next
        }
        if (expression.parts.length === 0) this.skip(start, end)
        return
      }
      case 'either':
        for (const option of expression.options) this.add(option, start, end)
        return
      case 'repeat':
        this.#addRepeat(expression.of, expression.least, expression.most, start, end)
        return
      case 'rule':
        this.calls[start]!.push({ rule: expression.rule, target: end })
    }
  }

  /** Sequences that end alike share the states of their ends: characters of several bytes mostly do. */
  #addBytes(sequences: readonly ByteSequence[], start: number, end: number): void {
    const ends = new Map<string, number>()
    for (const bytes of sequences) {
      if (bytes.length === 0) this.skip(start, end)
      let target = end
      let key = ''
      for (let index = bytes.length - 1; index >= 0; index--) {
        const [from, to] = bytes[index]!
        if (index === 0) {
          this.bytes[start]!.push({ from, to, target })
          break
        }
        key = `${from}-${to} ${key}`
        const shared = ends.get(key)
        const state = shared ?? this.state()
        if (shared === undefined) this.bytes[state]!.push({ from, to, target })
        ends.set(key, state)
        target = state
      }
    }
  }

  #addRepeat(of: Expression, least: number, most: number | null, start: number, end: number): void {
    // Loops get states of their own, so that no edge into or out of the whole becomes part of the loop.
    let at = this.state()
    this.skip(start, at)
    for (let count = 0; count < least; count++) at = this.#addOnce(of, at)
    if (most === null) {
      const body = this.#addOnce(of, at)
      this.skip(body, at)
    } else {
      for (let count = least; count < most; count++) {
        this.skip(at, end)
        at = this.#addOnce(of, at)
      }
    }
    this.skip(at, end)
  }

  #addOnce(of: Expression, start: number): number {
    const end = this.state()
    this.add(of, start, end)
    return end
  }
}
