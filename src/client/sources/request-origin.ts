/**
 * One GET to wherever models are kept. Redirects are followed here rather than by `fetch`, because two things must hold on
 * every hop: the token goes to the origin it belongs to and nowhere else, and nothing leaves TLS but for this very machine.
 */
import { SourceError } from './source-error.ts'

export interface Credential {
  /** The only origin to which the token is sent. */
  origin: string
  token: string
}

export interface OriginRequest {
  credential?: Credential | undefined
  headers?: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/** Something that may be gone at the next attempt: a broken connection, an overloaded origin. */
export class Interrupted extends Error {
  /** What the origin asked for in `Retry-After`. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number) {
    super(message)
    this.name = 'Interrupted'
    this.retryAfterMs = retryAfterMs
  }
}

const mostRedirects = 5

/**
 * Resolves to a successful reply (2xx), or to 401, 403, 404 and 416, which mean something to whoever asked.
 *
 * @throws {Interrupted} retryable.
 * @throws {SourceError} for what no retry mends.
 */
export async function requestOrigin(from: URL, { credential, headers = {}, signal }: OriginRequest): Promise<Response> {
  let url = from
  for (let hop = 0; hop <= mostRedirects; hop++) {
    requireSafe(url)
    const response = await send(url, {
      redirect: 'manual',
      // Lengths and ranges are those of the file itself, not of a compressed form of it.
      headers: { ...headers, 'accept-encoding': 'identity', ...authorization(url, credential) },
      ...(signal ? { signal } : {}),
    })
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null
    if (location === null) return checked(response, url)
    await response.body?.cancel()
    const next = URL.parse(location, url)
    if (!next) throw new SourceError('SOURCE_INVALID', `${url.host} redirects to what is no URL.`)
    url = next
  }
  throw new SourceError('SOURCE_INVALID', `${from.host} redirects more than ${mostRedirects} times.`)
}

/** @throws {SourceError} INSECURE_URL: plain http can be read and changed on its way, but not within one machine. */
export function requireSafe(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return
  throw new SourceError('INSECURE_URL', `${url.origin} is not https, which only this machine's own addresses need not be.`)
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

function authorization(url: URL, credential: Credential | undefined): Record<string, string> {
  return credential && url.origin === credential.origin ? { authorization: `Bearer ${credential.token}` } : {}
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init)
  } catch (error) {
    throw new Interrupted(`${url.host} does not answer (${reasonOf(error)})`)
  }
}

async function checked(response: Response, url: URL): Promise<Response> {
  const { status, headers } = response
  if (response.ok || [401, 403, 404, 416].includes(status)) {
    const encoding = headers.get('content-encoding') ?? 'identity'
    if (encoding === 'identity') return response
    await response.body?.cancel()
    throw new SourceError('SOURCE_INVALID', `${url.host} sends ${encoding} although plain bytes were asked for.`)
  }
  await response.body?.cancel()
  if (status === 408 || status === 429 || status >= 500)
    throw new Interrupted(`${url.host} answers ${status}`, retryAfterMs(headers.get('retry-after')))
  throw new SourceError('SOURCE_REFUSED', `${url.host} answers ${status} to the request for ${url.pathname}.`)
}

/** `Retry-After` as seconds or as a date; undefined where there is none that can be read. */
function retryAfterMs(text: string | null): number | undefined {
  if (text === null) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

/** fetch says "fetch failed" and keeps the reason in the cause. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
  return String(cause)
}
