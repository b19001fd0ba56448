/** One request on its way through the scheduler: waiting, then reading its prompt, then one sequence for each choice, then over. */
import { cancelled } from '#contracts/errors.ts'
import type { Decoder, DecoderRow } from './decoder.ts'
import { Drafter } from './draft.ts'
import type { PrefixChunk } from './prefix-cache.ts'
import { OpenSequence, type Sequence } from './sequence.ts'

export interface JobRequest {
  tenant: string
  prompt: readonly number[]
  /** Sequences that go on from the prompt. */
  choices: number
  /** Tokens that each of them may reach, the prompt's included: what memory is set aside for. */
  length: number
  /** From arrival to the end. */
  deadlineMs: number
  signal?: AbortSignal | undefined
}

/** What a request gets once there is room for it. */
export interface Place {
  /** How long it has waited. */
  readonly queueMs: number
  /** Resolves when the prompt is read; rejects where the job fails before. */
  readonly read: Promise<PromptRead>
  /** Gives the place back, whatever it is in the middle of. */
  leave(): void
}

export interface PromptRead {
  /** Prompt tokens that did not have to be read. */
  cachedTokens: number
  sequences: readonly Sequence[]
}

export interface JobHooks {
  decoder: Decoder
  /** Whether what comes next may be drafted. */
  drafts: boolean
  now(): number
  /** Called when there is something to do. */
  wake(): void
  ended(job: Job): void
}

export class Job implements Place {
  readonly request: JobRequest
  readonly tenant: string
  readonly #taken = Promise.withResolvers<Place>()
  readonly #read = Promise.withResolvers<PromptRead>()
  readonly #hooks: JobHooks
  readonly #arrivedMs: number
  readonly #cancel: () => void
  readonly #sequences = new Set<OpenSequence>()
  #takenMs: number | undefined
  #row: DecoderRow | undefined
  #over = false
  /** The last kept chunk of what is read; null before the first, `lost` where one could not be kept. */
  chunk: PrefixChunk | null | 'lost' = null
  cachedTokens = 0

  constructor(request: JobRequest, hooks: JobHooks) {
    this.request = request
    this.tenant = request.tenant
    this.#hooks = hooks
    this.#arrivedMs = hooks.now()
    this.#cancel = () => this.fail(cancelled())
    request.signal?.addEventListener('abort', this.#cancel, { once: true })
    // Whoever left does not ask any more how it ended; without these the runtime would call that an unhandled error.
    this.#taken.promise.catch(() => undefined)
    this.#read.promise.catch(() => undefined)
  }

  get taken(): Promise<Place> {
    return this.#taken.promise
  }

  get read(): Promise<PromptRead> {
    return this.#read.promise
  }

  get queueMs(): number {
    return (this.#takenMs ?? this.#hooks.now()) - this.#arrivedMs
  }

  /** Since it was taken up; 0 while it waits. */
  get ranMs(): number {
    return this.#takenMs === undefined ? 0 : this.#hooks.now() - this.#takenMs
  }

  get isLate(): boolean {
    return this.#hooks.now() - this.#arrivedMs >= this.request.deadlineMs
  }

  /** The row that the prompt is being read into, until it is read. */
  get readingRow(): DecoderRow | undefined {
    return this.#row
  }

  /** Lengths of the rows that it has or is going to have. */
  get reserved(): readonly number[] {
    const rows = this.#sequences.size > 0 ? this.#sequences.size : this.request.choices
    return Array<number>(rows).fill(this.request.length)
  }

  /** Sequences whose next token is chosen. */
  get ready(): OpenSequence[] {
    return [...this.#sequences].filter(({ pending }) => pending !== undefined)
  }

  take(): void {
    this.#takenMs = this.#hooks.now()
    this.#row = this.#hooks.decoder.open()
    this.#taken.resolve(this)
  }

  /** The prompt is read: its row goes on as the first choice, copies of it as the others. */
  branch(logits: Float32Array): void {
    const { prompt, choices, length } = this.request
    const first = this.#row!
    const rows = [first, ...Array.from({ length: choices - 1 }, () => this.#hooks.decoder.fork(first))]
    this.#row = undefined
    const hooks = { ...this.#hooks, closed: (sequence: OpenSequence) => this.#closed(sequence) }
    // Several rows step together, which is faster than anything that one of them could be drafted.
    const drafter = this.#hooks.drafts && choices === 1 ? new Drafter(prompt) : undefined
    const sequences = rows.map(
      (row) => new OpenSequence({ row, logits: logits.slice(), mostTokens: length, drafter }, hooks),
    )
    for (const sequence of sequences) this.#sequences.add(sequence)
    this.#read.resolve({ cachedTokens: this.cachedTokens, sequences })
  }

  leave(): void {
    this.#cancel()
  }

  /** Ends the job with an error for all who wait for it. */
  fail(error: unknown): void {
    if (this.#over) return
    this.#taken.reject(error)
    this.#read.reject(error)
    if (this.#row) this.#hooks.decoder.close(this.#row)
    this.#row = undefined
    for (const sequence of this.#sequences) sequence.end(error)
    this.#sequences.clear()
    this.#end()
  }

  #closed(sequence: OpenSequence): void {
    this.#sequences.delete(sequence)
    if (this.#sequences.size === 0) this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.request.signal?.removeEventListener('abort', this.#cancel)
    this.#hooks.ended(this)
  }
}
