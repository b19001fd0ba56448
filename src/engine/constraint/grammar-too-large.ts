import { limits } from '#contracts/limits.ts'

/** Thrown where an automaton outgrows its bound; the compiler turns it into an error that names the request's field. */
export class GrammarTooLarge extends Error {
  /** The part that alone is too large; null where it is all together. */
  readonly field: string | null

  constructor(field: string | null = null) {
    super(`it compiles to more than ${limits.constraintStates} states; shorten its repetitions or its lists.`)
    this.field = field
  }
}
