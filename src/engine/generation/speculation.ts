/**
 * Reading drafted tokens together with the one that is certain, in one run, where that is faster and changes nothing.
 *
 * **Nothing changes**: the token loop draws from each position's logits as it always does, and what the draft had wrong is
 * forgotten. So the text is the same if the logits are the same bits, and whether they are depends on the graph:
 *
 * - Graphs with plain attention (by row): ORT's softmax adds four numbers at a time and the last one to three singly. A token that
 *   is read with later ones has their zeros behind its own numbers, and its sum keeps its order unless the zeros fill up a group of
 *   four. So a run whose last position is 4m + 3 gives the bits of single steps for its last four positions, and for no more.
 * - Int8 weights with one scale for all tokens of a run never give the bits of single steps.
 * - GroupQueryAttention (in place) sums over each query's own positions, and gives the bits of single steps for all of them as
 *   long as one kernel serves one query and several (`../ort/environment.ts`).
 *
 * Which of these a graph is, is measured at the first drafts, a few runs at each, since most texts never have one.
 *
 * **Faster**: what runs of each size cost is measured as they happen, what a draft is worth is its chance (`draft.ts`), and a draft
 * is read where it pays. The costs of runs that do not happen would never be known again, so now and then one does.
 */
import type { Draft, Drafter } from './draft.ts'

/** Positions whose sum is formed alike, by the place of the last one. */
const group = 4

/** Tokens of a draft at most; the certain one comes before them. */
export const mostDrafted = group - 1

/** From every place in a group: from nothing, and past one and two groups of sixteen. */
export const probeLengths = [3, 19, 0, 5, 36] as const

/** What a graph has shown of itself. */
export interface DraftProbe {
  isExact: boolean
  /** Of runs with so many drafted tokens; 0 of single steps. */
  costs: readonly { drafted: number; ms: number }[]
}

/** A cost is the mean of so many runs. */
const smoothing = 16

/** Of drafts that promise at least so many tokens, one in so many is read as far as it may be, whether it pays or not. */
const trial = { leastExpected: 0.3, every: 64 }

export class Speculation {
  readonly #probe: (length: number) => DraftProbe
  /** From where the graph has not been measured yet; null where its bits differ. */
  #toProbe: number[] | null = [...probeLengths]
  /** Of a run with so many drafted tokens. */
  readonly #costs = Array.from({ length: mostDrafted + 1 }, () => new Mean())
  readonly #shortening = new Mean()
  #drafts = 0

  /** `probe` compares runs that go on from so many tokens. */
  constructor(probe: (length: number) => DraftProbe) {
    this.#probe = probe
  }

  /** The tokens to read with the next one, which goes to position `length`; none where they would not pay. */
  choose(drafter: Drafter, length: number, room: number): readonly number[] {
    if (!this.#toProbe) return []
    const draft = drafter.draft(mostDrafted)
    if (!draft) return []
    if (this.#toProbe.length > 0) {
      this.#measure(this.#toProbe)
      return []
    }
    const most = Math.min(room, readableFrom(length) - 1)
    return draft.tokens.slice(0, this.#countFor(draft, most))
  }

  /** What a run with so many drafted tokens has cost. */
  ran(drafted: number, ms: number): void {
    this.#costs[drafted]?.add(ms)
  }

  /** What it has cost to forget drafted tokens. */
  shortened(ms: number): void {
    this.#shortening.add(ms)
  }

  #measure([length, ...later]: number[]): void {
    const { isExact, costs } = this.#probe(length!)
    // The first runs of their size are slow.
    if (length !== probeLengths[0]) for (const { drafted, ms } of costs) this.ran(drafted, ms)
    this.#toProbe = isExact ? later : null
  }

  /** As many as bring the most tokens for their time. */
  #countFor({ chance }: Draft, most: number): number {
    let [best, bestGain] = [0, 1]
    let [expected, allRight] = [0, 1]
    for (let count = 1; count <= most; count++) {
      allRight *= chance
      expected += allRight
      const ms = this.#costs[count]!.value + (1 - allRight) * this.#shortening.value
      // Not a number where the clock stands still, which is no gain.
      const gain = ((1 + expected) * this.#costs[0]!.value) / ms
      if (gain > bestGain) [best, bestGain] = [count, gain]
    }
    if (expected < trial.leastExpected) return best
    this.#drafts = (this.#drafts + 1) % trial.every
    return this.#drafts === 0 ? most : best
  }
}

/** Tokens that may be read in one run from this position on without a change of bits. */
export function readableFrom(length: number): number {
  return group - ((length + 1) % group)
}

/**
 * A mean that follows, and does not follow what happens once: another process that had the core, a collection of garbage. Clocks
 * may count whole milliseconds.
 */
class Mean {
  value = 0
  #count = 0

  add(value: number): void {
    const bounded = this.#count < 4 ? value : Math.min(value, 3 * this.value + 1)
    this.#count = Math.min(this.#count + 1, smoothing)
    this.value += (bounded - this.value) / this.#count
  }
}
