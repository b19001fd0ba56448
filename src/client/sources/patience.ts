/** How often and after how long something interrupted is tried again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Interrupted } from './request-origin.ts'
import { SourceError } from './source-error.ts'

export interface Patience {
  /** Attempts in a row that bring nothing. */
  attempts: number
  wait(ms: number): Promise<unknown>
}

export const defaultPatience: Patience = { attempts: 6, wait: (ms) => sleep(ms) }

/** An origin that wants more than this is told about, not waited for. */
const longestPauseMs = 120_000

/** Resolves when it is time for the next attempt. @throws {SourceError} retryable, when there is none; anything else as it came. */
export async function pause(error: unknown, failures: number, { attempts, wait }: Patience): Promise<void> {
  if (!(error instanceof Interrupted)) throw error
  const asked = error.retryAfterMs
  if (asked !== undefined && asked > longestPauseMs)
    throw unavailable(`${error.message} and asks to come back in ${Math.ceil(asked / 1_000)} s.`)
  if (failures >= attempts) throw unavailable(`${error.message}, ${failures} times in a row.`)
  await wait(asked ?? Math.min(500 * 2 ** (failures - 1), 15_000))
}

/** Resolves to what the task resolves to, tried again while it is interrupted. */
export async function patiently<T>(task: () => Promise<T>, patience: Patience): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await task()
    } catch (error) {
      await pause(error, failures, patience)
    }
  }
}

function unavailable(problem: string): SourceError {
  return new SourceError('SOURCE_UNAVAILABLE', `${problem} Run the import again later; what has arrived is not sent twice.`)
}
