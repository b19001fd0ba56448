/**
 * A text's position in a grammar: the state of the rule it is in, and the frames of the rules to return to. Frames of one bottom
 * are interned, so that equal positions are the same object. A text may have several positions as long as alternatives look alike.
 */
import { badRequest } from '#contracts/errors.ts'
import type { Automaton } from './automaton.ts'
import { unreachable } from './fewest-tokens.ts'

export interface GrammarTables {
  automaton: Automaton
  /** By state; see `fewest-tokens.ts`. */
  fewest: Int32Array
}

/**
 * Frames of one bottom. Texts stay far below it; lists whose alternatives all begin alike multiply with each nesting, and are
 * refused here before they cost more.
 */
const mostFrames = 200_000

export class Frame {
  /** -1 at the bottom, where the text has ended. */
  readonly state: number
  readonly below: Frame | null
  /** Tokens that complete the text from here, at most. */
  readonly total: number
  /** Distinct among frames of one bottom. */
  readonly id: number
  readonly #bottom: Frame
  #above: Map<number, Frame> | null = null
  #count = 1

  private constructor(state: number, below: Frame | null, total: number, id: number) {
    this.state = state
    this.below = below
    this.total = total
    this.id = id
    this.#bottom = below ? below.#bottom : this
  }

  static bottom(): Frame {
    return new Frame(-1, null, 0, 0)
  }

  /** Frames that this bottom has interned. */
  get count(): number {
    return this.#count
  }

  /**
   * The frame of a state whose rule returns to this one.
   *
   * @throws {ServingError} 400 for a grammar whose alternatives multiply without end; not retryable.
   */
  push(state: number, tables: GrammarTables): Frame {
    const known = this.#above?.get(state)
    if (known) return known
    if (this.#bottom.#count >= mostFrames)
      throw badRequest(
        'The constraint has too many alternatives that begin alike; join the lists in its anyOf into one.',
      )
    const total = Math.min(unreachable, tables.fewest[state]! + this.total)
    const frame = new Frame(state, this, total, this.#bottom.#count++)
    this.#above ??= new Map()
    this.#above.set(state, frame)
    return frame
  }

  /** The same position above another bottom. */
  rebase(bottom: Frame, tables: GrammarTables): Frame {
    const states: number[] = []
    for (let at: Frame = this; at.below; at = at.below) states.push(at.state)
    return states.reduceRight((below, state) => below.push(state, tables), bottom)
  }

  /** The same rule in another state. */
  moveTo(state: number, tables: GrammarTables): Frame {
    return this.below!.push(state, tables)
  }
}

/** Adds the frame, and all that it leads to without a byte: what it calls, and what its end returns to. */
export function addWithReach(frame: Frame, tables: GrammarTables, into: Set<Frame>): void {
  if (into.has(frame)) return
  into.add(frame)
  if (frame.state < 0) return
  if (tables.automaton.final[frame.state]) addWithReach(frame.below!, tables, into)
  for (const { start, target, isLast } of tables.automaton.calls[frame.state]!) {
    const below = isLast ? frame.below! : frame.moveTo(target, tables)
    addWithReach(below.push(start, tables), tables, into)
  }
}
