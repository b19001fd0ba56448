/**
 * The last line of defence against a model whose single kernel works for hours: it holds workerd's only thread, so that nothing
 * inside of workerd can end it, and no request of anybody is answered. Then workerd is ended, and Miniflare starts it anew.
 */
import { setTimeout as wait } from 'node:timers/promises'

const pauseMs = 1_000

export interface WatchOptions {
  /** Anything that answers shows that the thread is free, whatever the answer says. */
  url: URL
  /** So long without an answer the thread counts as lost. */
  limitMs: number
  /** Ends workerd. */
  end(): void
}

/** Returns the function that stops the watch. */
export function watchServer({ url, limitMs, end }: WatchOptions): () => void {
  const stopped = new AbortController()
  const watch = async () => {
    while (!stopped.signal.aborted) {
      if (await isLost(url, limitMs, stopped.signal)) end()
      await wait(pauseMs, undefined, { ref: false, signal: stopped.signal }).catch(() => undefined)
    }
  }
  void watch()
  return () => stopped.abort()
}

/** A connection that fails at once is not a lost thread: workerd has ended, or is about to be started. */
async function isLost(url: URL, limitMs: number, stopped: AbortSignal): Promise<boolean> {
  const limit = AbortSignal.timeout(limitMs)
  try {
    const response = await fetch(new URL('/health', url), { signal: AbortSignal.any([limit, stopped]) })
    await response.body?.cancel()
    return false
  } catch {
    return limit.aborted && !stopped.aborted
  }
}
