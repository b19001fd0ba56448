/**
 * Guessing what comes next from what is there already: text that quotes its prompt or repeats itself goes on, after the same few
 * tokens, as it did before. A guess costs microseconds, so each one is scored, whether anybody acted on it or not; how often
 * guesses after a match of this length came true decides what the next one is worth.
 */
export interface Draft {
  tokens: readonly number[]
  /** Chance that a token of it is right where those before it were. */
  chance: number
}

/** Tokens that a match has. One alone says next to nothing, and more than six hardly more than six. */
const match = { least: 2, most: 6 }

/** What a chance is before anything is known, as if so many guesses had been scored. */
const prior = { chance: 0.5, weight: 2 }

/** Scores fade, so that a text that begins or ceases to repeat itself is noticed after some 20 tokens. */
const fading = 0.95

/** Guesses for one sequence. */
export class Drafter {
  readonly #tokens: number[]
  /** By length of the match. */
  readonly #scores = new Map<number, { right: number; all: number }>()
  #matched = 0
  #guesses: number[] = []

  constructor(prompt: readonly number[]) {
    this.#tokens = [...prompt]
  }

  /** The token that has really come next. */
  accept(token: number): void {
    const guess = this.#guesses.shift()
    if (guess !== undefined) this.#score(guess === token)
    if (guess !== token) this.#guesses = []
    this.#tokens.push(token)
  }

  /** Up to `most` tokens that may follow; null where nothing has occurred before. */
  draft(most: number): Draft | null {
    const { matched, tokens } = continuation(this.#tokens, most)
    this.#matched = matched
    this.#guesses = tokens
    if (tokens.length === 0) return null
    const { right, all } = this.#scoreOf(matched)
    return { tokens: [...tokens], chance: right / all }
  }

  #score(isRight: boolean): void {
    const { right, all } = this.#scoreOf(this.#matched)
    this.#scores.set(this.#matched, { right: right * fading + (isRight ? 1 : 0), all: all * fading + 1 })
  }

  #scoreOf(matched: number): { right: number; all: number } {
    return this.#scores.get(matched) ?? { right: prior.chance * prior.weight, all: prior.weight }
  }
}

/** What followed the last occurrence of the longest end of the text; a text that repeats itself goes round. */
function continuation(tokens: readonly number[], most: number): { matched: number; tokens: number[] } {
  const last = tokens.length - 1
  let [matched, end] = [0, -1]
  for (let at = last - 1; at >= 0 && matched < match.most; at--) {
    if (tokens[at] !== tokens[last]) continue
    let length = 1
    while (length < match.most && length <= at && tokens[at - length] === tokens[last - length]) length++
    if (length > matched) [matched, end] = [length, at]
  }
  if (matched < match.least) return { matched, tokens: [] }
  const period = last - end
  return { matched, tokens: Array.from({ length: most }, (_, at) => tokens[end + 1 + (at % period)]!) }
}
