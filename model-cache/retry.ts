/** Waiting and trying again, with the clock handed in. */
import { isServingError, type ServingError } from '#contracts/errors.ts'
import { mayRetry } from './origin.ts'

/** Resolves after the time, or rejects with the signal's reason. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

export interface RetryOptions {
  /** Tries in a row that bring nothing new. */
  attempts?: number | undefined
  sleep?: Sleep | undefined
  signal?: AbortSignal | undefined
}

const firstWaitMs = 500
const longestWaitMs = 30_000

export const sleepFor: Sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const wake = () => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }
    const timer = setTimeout(wake, ms)
    const leave = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', leave, { once: true })
  })

/**
 * Resolves to what `work` resolves to. A retryable `ServingError` makes it try again, after the wait that the error asks for or
 * one that doubles; `progressed` says whether the try that failed brought something new, which starts the count anew.
 *
 * @throws the last error of `work`.
 */
export async function retrying<T>(
  work: () => Promise<T>,
  { attempts = 5, sleep = sleepFor, signal }: RetryOptions,
  progressed: () => boolean = () => false,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isServingError(error) || !mayRetry(error)) throw error
      failures = progressed() ? 1 : failures + 1
      if (failures >= attempts) throw error
      await sleep(waitMs(failures, error), signal)
    }
  }
}

function waitMs(failures: number, { status, retryAfterSeconds }: ServingError): number {
  const own = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1))
  return status === 429 && retryAfterSeconds !== undefined ? Math.max(own, retryAfterSeconds * 1_000) : own
}
