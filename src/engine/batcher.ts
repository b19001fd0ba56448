/**
 * Rows of concurrent requests that share runs of the graph.
 *
 * A run blocks the isolate's only thread, so requests that come in the meantime lie in the runtime's own queue and are not seen
 * before the thread is free for a turn of the event loop. So the loop gives a turn away after each millisecond of work, also
 * after its last run: what came meanwhile is then all there at once and forms the next batch.
 *
 * Only rows of equal length share a run. Padding changes the last bits of a row, and an answer must not depend on who else asks.
 *
 * Requests take turns: each batch begins with the next request's row and is filled by one row of every other request in turn, so
 * that a request of one row waits for one batch, not for the thousands of rows that came before it.
 */
import { cancelled, deadlineExceeded, exhausted } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { nextTurn } from './next-turn.ts'

export interface BatcherOptions<Row> {
  /** Tokens of a row. Rows of different lengths never share a run. */
  lengthOf(row: Row): number
  /** Runs rows of one length together and keeps their results; a throw fails the rows. */
  run(rows: readonly Row[]): void
  /** Most rows of this length in one run; 1 for a graph whose rows depend on each other. */
  mostRows(length: number): number
  /** How long a request may take from its arrival, in milliseconds. */
  limitMs?: number
  /** Requests, and tokens of all of them, that may wait. */
  queueRequests?: number
  queueTokens?: number
  /** Milliseconds on a clock that never goes back. */
  now?(): number
  /** Resolves after the event loop had a turn. */
  nextTurn?(): Promise<void>
}

/** A request's rows that have not run yet. */
interface Job<Row> {
  /** Rows by length; a length without rows is removed. */
  readonly waiting: Map<number, Row[]>
  rowsLeft: number
  tokensLeft: number
  readonly deadlineMs: number
  settle(error?: unknown): void
}

interface Taken<Row> {
  readonly row: Row
  readonly job: Job<Row>
}

/** What a turn of the event loop is given away for. Shorter runs follow each other at once. */
const turnMs = 1
/** Before anything was measured: a small encoder on a slow core. */
const firstGuessMsPerToken = 0.5

export class Batcher<Row> {
  readonly #options: Required<BatcherOptions<Row>>
  /** In the order of their turns. */
  readonly #jobs: Job<Row>[] = []
  #looping = false
  #msPerToken = firstGuessMsPerToken

  constructor(options: BatcherOptions<Row>) {
    this.#options = {
      limitMs: limits.executionMs,
      queueRequests: limits.replicaQueue,
      queueTokens: limits.queuedTokens,
      now: () => performance.now(),
      nextTurn,
      ...options,
    }
  }

  /**
   * Resolves once all rows have run.
   *
   * @throws {ServingError} 429 with the time after which there is room (retryable), 504 past the limit, 499 where the caller went
   * away, or what a row's run threw.
   */
  async submit(rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw cancelled()
    if (rows.length === 0) return
    const waiting = Map.groupBy(rows, (row) => this.#options.lengthOf(row))
    const tokensLeft = [...waiting].reduce((sum, [length, { length: count }]) => sum + length * count, 0)
    this.#admit(tokensLeft)
    await new Promise<void>((resolve, reject) => {
      const leave = () => job.settle(cancelled())
      const job: Job<Row> = {
        waiting,
        rowsLeft: rows.length,
        tokensLeft,
        deadlineMs: this.#options.now() + this.#options.limitMs,
        settle: (error) => {
          signal?.removeEventListener('abort', leave)
          const at = this.#jobs.indexOf(job)
          if (at >= 0) this.#jobs.splice(at, 1)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      signal?.addEventListener('abort', leave)
      this.#jobs.push(job)
      if (!this.#looping) void this.#loop()
    })
  }

  /** Refuses what has no room, or could not end in time because of those who came before. */
  #admit(tokens: number): void {
    const { queueRequests, queueTokens, limitMs } = this.#options
    if (this.#jobs.length === 0) return
    const queued = this.#jobs.reduce((sum, job) => sum + job.tokensLeft, 0)
    // Requests take turns, so of a longer one only as much runs before this one ends as this one has itself.
    const before = this.#jobs.reduce((sum, job) => sum + Math.min(job.tokensLeft, tokens), 0)
    const expectedMs = (before + tokens) * this.#msPerToken
    const excessTokens = Math.max(
      queued + tokens - queueTokens,
      expectedMs > limitMs ? (expectedMs - limitMs) / this.#msPerToken : 0,
      this.#jobs.length >= queueRequests ? queued / this.#jobs.length : 0,
    )
    if (excessTokens <= 0) return
    const seconds = Math.max(1, Math.ceil((excessTokens * this.#msPerToken) / 1000))
    throw exhausted(`${this.#jobs.length} requests with ${queued} tokens already wait for this model.`, seconds)
  }

  /** Never rejects: what a run throws goes to the requests whose rows it ran. */
  async #loop(): Promise<void> {
    const { now, nextTurn } = this.#options
    this.#looping = true
    // Requests of the same turn share the first run.
    await Promise.resolve()
    let turnStartedMs = now()
    let tokens = 0
    for (;;) {
      const batch = this.#nextBatch()
      if (batch.length > 0) tokens += this.#run(batch)
      const spentMs = now() - turnStartedMs
      const idle = this.#jobs.length === 0
      // Some runtimes stop their clock while code runs.
      if (spentMs >= turnMs || spentMs === 0) {
        await nextTurn()
        const endedMs = now()
        if (tokens > 0) this.#msPerToken += ((endedMs - turnStartedMs) / tokens - this.#msPerToken) / 4
        turnStartedMs = endedMs
        tokens = 0
      } else if (idle) break
      if (idle && this.#jobs.length === 0) break
    }
    this.#looping = false
  }

  /** One row of the next request, and rows of the same length of all requests in turn. */
  #nextBatch(): Taken<Row>[] {
    const nowMs = this.#options.now()
    for (const job of [...this.#jobs]) {
      if (job.deadlineMs <= nowMs) job.settle(deadlineExceeded(this.#options.limitMs))
    }
    const [leader] = this.#jobs
    if (!leader) return []
    const [length] = leader.waiting.keys()
    const most = Math.max(1, this.#options.mostRows(length!))
    const batch: Taken<Row>[] = []
    let sharing = this.#jobs.filter((job) => job.waiting.has(length!))
    while (sharing.length > 0 && batch.length < most) {
      for (const job of sharing.slice(0, most - batch.length)) batch.push({ row: takeRow(job, length!), job })
      sharing = sharing.filter((job) => job.waiting.has(length!))
    }
    this.#jobs.shift()
    this.#jobs.push(leader)
    return batch
  }

  /** Runs a batch and settles the requests that it completes; resolves to its tokens. */
  #run(batch: readonly Taken<Row>[]): number {
    try {
      this.#options.run(batch.map(({ row }) => row))
    } catch (error) {
      if (batch.length === 1) {
        batch[0]!.job.settle(error)
        return 0
      }
      // One request's row must not fail another request.
      for (const taken of batch) if (this.#jobs.includes(taken.job)) this.#run([taken])
      return 0
    }
    let tokens = 0
    for (const { row, job } of batch) {
      const length = this.#options.lengthOf(row)
      tokens += length
      job.tokensLeft -= length
      job.rowsLeft -= 1
      if (job.rowsLeft === 0) job.settle()
    }
    return tokens
  }
}

function takeRow<Row>({ waiting }: Job<Row>, length: number): Row {
  const rows = waiting.get(length)!
  const row = rows.pop()!
  if (rows.length === 0) waiting.delete(length)
  return row
}
