/**
 * Continuous batching: requests join and leave between any two tokens.
 *
 * A turn takes up waiting requests while there is room, steps every sequence whose next token is chosen, and reads one piece of one
 * prompt; so a long prompt slows those who write by one piece for each token and never stops them. Between turns the thread is
 * free, for new requests and for those who leave. Where a piece ends depends on its position alone, whoever else is there: so
 * does how a prompt is cut, and with it every bit of the answer.
 */
import {
  cancelled,
  deadlineExceeded,
  exhausted,
  internal,
  modelFailed,
  type ServingError,
  unavailable,
} from '#contracts/errors.ts'
import { OrtError } from '../ort/error.ts'
import type { Decoder } from './decoder.ts'
import type { Drafter } from './draft.ts'
import { Job, type JobRequest, type Place } from './job.ts'
import type { PrefixCache } from './prefix-cache.ts'
import { PromptChunks } from './prompt-chunks.ts'
import type { OpenSequence } from './sequence.ts'
import type { Speculation } from './speculation.ts'
import { TenantQueue } from './tenant-queue.ts'

export interface SchedulerOptions {
  decoder: Decoder
  prefixes: PrefixCache
  /** Prompt tokens that are kept together. */
  chunkTokens: number
  /** Of those, tokens that are read at once from a position on; all where absent. */
  pieceTokens?: (position: number) => number
  /** Drafts for a sequence that writes alone; none where absent. */
  speculation?: Speculation
  /** Requests that may wait. */
  queueLimit: number
  /** Gives the thread to whoever waits for it. */
  yieldTurn(): Promise<void>
  now?(): number
}

/** What `Retry-After` goes by before anything has ended. */
const unmeasuredEndMs = 250

export class Scheduler {
  readonly #decoder: Decoder
  readonly #prompts: PromptChunks
  readonly #options: SchedulerOptions
  readonly #now: () => number
  readonly #waiting = new TenantQueue<Job>()
  /** Whose prompts are being read, in turn. */
  readonly #reading: Job[] = []
  readonly #active = new Set<Job>()
  #working = false
  /** Milliseconds from one end to the next, smoothed; undefined until one has ended. */
  #endsEveryMs: number | undefined
  #broken: string | undefined

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#decoder = options.decoder
    this.#prompts = new PromptChunks(options)
    this.#now = options.now ?? (() => performance.now())
  }

  /** Why nothing can be answered any more; undefined while it can. */
  get broken(): string | undefined {
    return this.#broken
  }

  /** Tokens that each of so many sequences can reach together. */
  longest(choices: number): number {
    let [fits, over] = [0, this.#decoder.contextTokens + 1]
    while (over - fits > 1) {
      const middle = (fits + over) >> 1
      if (this.#decoder.fits(Array<number>(choices).fill(middle))) fits = middle
      else over = middle
    }
    return fits
  }

  /**
   * Resolves once there is room. The request's `length` must be within `longest`.
   *
   * @throws {ServingError} 429 where too many wait already, 503 once it is `broken` (both retryable), 504 past the deadline, 499 where the caller has left.
   */
  take(request: JobRequest): Promise<Place> {
    if (this.#broken !== undefined) return Promise.reject(untried())
    if (request.signal?.aborted) return Promise.reject(cancelled())
    this.#admit()
    if (this.#waiting.size >= this.#options.queueLimit) return Promise.reject(this.#full())
    const hooks = {
      decoder: this.#decoder,
      drafts: this.#options.speculation !== undefined,
      now: this.#now,
      wake: () => this.#wake(),
      ended: (job: Job) => this.#ended(job),
    }
    const job = new Job(request, hooks)
    this.#waiting.push(job)
    this.#admit()
    this.#wake()
    return job.taken
  }

  #wake(): void {
    if (this.#working) return
    this.#working = true
    void this.#work()
  }

  async #work(): Promise<void> {
    try {
      do await this.#options.yieldTurn()
      while (this.#turn())
    } catch (error) {
      this.#failed(error, [...this.#waiting, ...this.#active])
    } finally {
      this.#working = false
    }
  }

  /** Returns whether there is more to do. */
  #turn(): boolean {
    for (const job of [...this.#waiting, ...this.#active]) {
      if (job.isLate) job.fail(deadlineExceeded(job.request.deadlineMs))
    }
    this.#admit()
    this.#step()
    this.#readPrompt()
    const isStuck = this.#waiting.size > 0 && this.#active.size === 0
    return isStuck || this.#reading.length > 0 || [...this.#active].some((job) => job.ready.length > 0)
  }

  #admit(): void {
    for (;;) {
      const job = this.#waiting.peek()
      if (!job) return
      const reserved = [...this.#active, job].flatMap((each) => each.reserved)
      if (!this.#decoder.fits(reserved)) return
      this.#waiting.shift()
      this.#active.add(job)
      this.#reading.push(job)
      job.take()
    }
  }

  /** Reads one piece of the prompt whose turn it is; a whole chunk where nobody waits for it. */
  #readPrompt(): void {
    const job = this.#reading.shift()
    if (!job) return
    try {
      let logits = this.#prompts.readPiece(job)
      while (!logits && this.#active.size === 1 && !this.#prompts.isBetweenChunks(job)) {
        logits = this.#prompts.readPiece(job)
      }
      if (logits) job.branch(logits)
      else this.#reading.push(job)
    } catch (error) {
      this.#failed(error, [job])
    }
  }

  /** One token for every sequence that has chosen one. */
  #step(): void {
    const ready = [...this.#active].flatMap((job) => job.ready)
    const [first] = ready
    if (!first) return
    try {
      for (const sequence of ready) if (sequence.isAstray) this.#straighten(sequence)
      if (first.drafter && this.#active.size === 1) this.#stepAlone(first, first.drafter)
      else this.#stepTogether(ready)
    } catch (error) {
      this.#failed(
        error,
        [...this.#active].filter((job) => job.ready.length > 0),
      )
    }
  }

  #stepTogether(sequences: readonly OpenSequence[]): void {
    const logits = this.#decoder.step(
      sequences.map(({ row }) => row),
      sequences.map(({ pending }) => pending!),
    )
    for (const [index, sequence] of sequences.entries()) sequence.found([logits[index]!])
  }

  /** One token, and what is drafted to come after it. */
  #stepAlone(sequence: OpenSequence, drafter: Drafter): void {
    const { row } = sequence
    const { speculation } = this.#options
    const token = sequence.pending!
    const room = sequence.mostTokens - row.length - 1
    const drafted = speculation!.choose(drafter, row.length, room)
    const startedMs = this.#now()
    const logits =
      drafted.length > 0 ? this.#decoder.readEach(row, [token, ...drafted]) : this.#decoder.step([row], [token])
    speculation!.ran(drafted.length, this.#now() - startedMs)
    sequence.found(logits, drafted)
  }

  #straighten(sequence: OpenSequence): void {
    const startedMs = this.#now()
    sequence.straighten()
    this.#options.speculation?.shortened(this.#now() - startedMs)
  }

  /** A graph's refusal ends those who took part; anything else may have left the heap in disorder, and ends all. */
  #failed(error: unknown, jobs: readonly Job[]): void {
    if (error instanceof OrtError) {
      const refusal = modelFailed(`The model refused this input: ${error.message}`, error.message)
      for (const job of jobs) job.fail(refusal)
      return
    }
    const problem = internal(error instanceof Error ? error.message : String(error))
    if (!(error instanceof RangeError)) this.#broken = problem.message
    const untouched = this.#broken === undefined ? [] : [...this.#waiting]
    this.#decoder.reset()
    for (const job of this.#active) job.fail(jobs.includes(job) ? problem : interrupted())
    for (const job of untouched) job.fail(untried())
  }

  #ended(job: Job): void {
    this.#waiting.remove(job)
    const at = this.#reading.indexOf(job)
    if (at >= 0) this.#reading.splice(at, 1)
    if (!this.#active.delete(job)) return
    // As if all that ran beside it took as long: then one of them ends this often.
    const everyMs = job.ranMs / (this.#active.size + 1)
    this.#endsEveryMs =
      this.#endsEveryMs === undefined ? everyMs : this.#endsEveryMs + (everyMs - this.#endsEveryMs) / 8
    this.#wake()
  }

  /** Half of those who wait now will have their turn by the time that is named. */
  #full(): ServingError {
    const seconds = Math.ceil(((this.#endsEveryMs ?? unmeasuredEndMs) * this.#waiting.size) / 2 / 1000)
    return exhausted(
      `${this.#waiting.size} text generations wait for this endpoint already; ${this.#options.queueLimit} may wait.`,
      Math.min(Math.max(seconds, 1), 60),
    )
  }
}

/** Who took no part in the run that failed may ask for the same again. */
function interrupted(): ServingError {
  return unavailable(
    'The inference engine stopped in the run of another request, and this reply with it; ask again.',
    1,
  )
}

/** What nobody has begun may be asked elsewhere. */
function untried(): ServingError {
  return unavailable('The inference engine stopped in the run of another request and is being replaced.', 1)
}
