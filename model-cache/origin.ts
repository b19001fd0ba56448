/**
 * One request to an origin for a range of one file, its every answer turned into bytes or a named error. Errors that may pass
 * are `retryable`; all others are final.
 *
 * A credential goes to the host it was meant for and to no other: redirects are followed here, one by one, because hubs send
 * readers on to storage hosts with signed addresses.
 */
import {
  conflict,
  dataLoss,
  doesNotExist,
  exhausted,
  internal,
  permissionDenied,
  type ServingError,
  unavailable,
} from '#contracts/errors.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface OriginFile {
  url: string
  /** Sent to the host of `url` only. */
  headers?: Readonly<Record<string, string>> | undefined
  fetch: Fetch
}

export interface RangeRequest {
  fromByte: number
  /** Exclusive. */
  toByte: number
  /** Of the whole file, where it is known: another size at the origin is an error. */
  sizeBytes?: number | undefined
  /** Of the bytes that are there already: another one at the origin is an error. */
  etag?: string | undefined
  signal: AbortSignal
}

export interface RangeReply {
  body: ReadableStream<Uint8Array>
  /** Bytes of the body that come before `fromByte`, where the server does not serve ranges. */
  skipBytes: number
  etag: string | undefined
}

const maxRedirects = 5
/** An origin that asks for more patience than this is as good as down. */
const maxRetryAfterSeconds = 120

/** @throws {ServingError} naming the address, without its query, and what was wrong. */
export async function openRange(file: OriginFile, range: RangeRequest): Promise<RangeReply> {
  const where = addressOf(file.url)
  const response = await follow(file, rangeHeaders(range), range.signal)
  if (response.status !== 200 && response.status !== 206) {
    await response.body?.cancel()
    throw refusalOf(response, where, range)
  }
  const etag = response.headers.get('etag') ?? undefined
  const problem = problemOf(response, where, range, etag)
  if (problem) {
    await response.body?.cancel()
    throw problem
  }
  const body = response.body ?? new Blob([]).stream()
  return { body, skipBytes: response.status === 206 ? 0 : range.fromByte, etag }
}

/** What went wrong on the way is retryable, unless the caller himself ended it. */
export function asOriginError(error: unknown, where: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  const text = error instanceof Error ? error.message : String(error)
  return unavailable(`Reading ${where} broke off: ${text}.`, 5)
}

/** The address as errors may show it: a query may hold a signature. */
export function addressOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

function rangeHeaders({ fromByte, toByte, sizeBytes, etag }: RangeRequest): Record<string, string> {
  // A compressed answer has other offsets.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (fromByte === 0 && toByte === sizeBytes) return headers
  headers.range = `bytes=${fromByte}-${toByte - 1}`
  // A weak tag does not promise equal bytes, and servers answer it with the whole file.
  if (etag && !etag.startsWith('W/')) headers['if-range'] = etag
  return headers
}

async function follow(file: OriginFile, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  let url = file.url
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const isHome = new URL(url).origin === new URL(file.url).origin
    const all = isHome ? { ...file.headers, ...headers } : headers
    let response: Response
    try {
      response = await file.fetch(url, { headers: all, signal, redirect: 'manual' })
    } catch (error) {
      throw asOriginError(error, addressOf(url), signal)
    }
    const location = response.headers.get('location')
    if (response.status < 300 || response.status > 399 || !location) return response
    await response.body?.cancel()
    const next = new URL(location, url)
    if (next.protocol !== 'https:' && next.protocol !== new URL(url).protocol)
      throw permissionDenied(`${addressOf(url)} redirects to ${next.protocol}, which is refused.`)
    url = next.href
  }
  throw internal(`${addressOf(file.url)} redirects more than ${maxRedirects} times.`)
}

function refusalOf(response: Response, where: string, { sizeBytes, fromByte }: RangeRequest): ServingError {
  const { status } = response
  const retryAfter = retryAfterSeconds(response.headers.get('retry-after'))
  if (status === 401 || status === 403)
    return permissionDenied(`The origin refuses ${where} (${status}): it may need a token, or a better one.`)
  if (status === 404 || status === 410) return doesNotExist(`The origin has no ${where} (${status}).`)
  if (status === 416) {
    const total = response.headers.get('content-range')?.split('/')[1] ?? 'fewer'
    return dataLoss(
      `${where} has ${total} bytes at the origin; byte ${fromByte} of ${sizeBytes ?? 'it'} was asked for.`,
    )
  }
  if (status === 429 || status === 503) {
    if (retryAfter !== undefined && retryAfter > maxRetryAfterSeconds)
      return exhausted(`The origin asks to wait ${retryAfter} s before reading ${where} (${status}).`, retryAfter)
    return exhausted(`The origin limits reads of ${where} (${status}).`, retryAfter ?? 5)
  }
  if (status >= 500 || status === 408) return unavailable(`The origin failed on ${where} (${status}).`, retryAfter ?? 5)
  return internal(`The origin answered ${status} to reading ${where}.`)
}

/** Whether waiting as the origin asked is worth it. */
export function mayRetry(error: ServingError): boolean {
  return error.retryable && (error.retryAfterSeconds ?? 0) <= maxRetryAfterSeconds
}

/** What is wrong with an answer that looks like the file. */
function problemOf(response: Response, where: string, range: RangeRequest, etag: string | undefined) {
  const { fromByte, sizeBytes } = range
  if (range.etag && etag && bare(etag) !== bare(range.etag))
    return conflict(`${where} changed while it was read: its tag was ${range.etag} and is ${etag}.`)
  const sent = sizesOf(response)
  if (sent.fromByte !== undefined && sent.fromByte !== fromByte)
    return internal(`The origin sent ${where} from byte ${sent.fromByte}; byte ${fromByte} was asked for.`)
  if (sizeBytes !== undefined && sent.totalBytes !== undefined && sent.totalBytes !== sizeBytes)
    return dataLoss(`${where} has ${sent.totalBytes} bytes at the origin, not ${sizeBytes}.`)
  return undefined
}

function sizesOf(response: Response): { fromByte?: number; totalBytes?: number } {
  if (response.status === 206) {
    const parts = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '')
    if (!parts) return {}
    return { fromByte: Number(parts[1]), ...(parts[2] === '*' ? {} : { totalBytes: Number(parts[2]) }) }
  }
  const length = response.headers.get('content-length')
  return length === null || response.headers.has('content-encoding') ? {} : { totalBytes: Number(length) }
}

function retryAfterSeconds(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : undefined
}

function bare(etag: string): string {
  return etag.replace(/^W\//, '')
}
