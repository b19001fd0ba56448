/** The one `fetch` with which sources are read, and the one place that decides which addresses may be. */
import type { Fetch } from '#model-cache/origin.ts'
import { notUnderstood, SourceError } from './source-error.ts'

/**
 * For requests that end with `end`. Redirects are followed by `model-cache/origin.ts`, which comes through here for each; a
 * refusal ends the request for good, where any other failure would be tried again.
 */
export function safeFetch(end: AbortController): Fetch {
  return (url, init) => {
    try {
      requireSafe(new URL(url))
    } catch (refusal) {
      end.abort(refusal)
    }
    end.signal.throwIfAborted()
    return fetch(url, init)
  }
}

/** @throws {SourceError} INSECURE_URL: plain http can be read and changed on its way, but not within one machine. */
export function requireSafe(url: URL): void {
  if (url.username !== '' || url.password !== '')
    throw notUnderstood('A URL with a user or a password in it is not taken, for URLs are kept and shown.')
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return
  throw new SourceError(
    'INSECURE_URL',
    `${url.origin} is not https; only this machine's own addresses may be without it.`,
  )
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
