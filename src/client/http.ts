/**
 * One request to a glim server: JSON in, JSON out, and every refusal as the `ServingError` it was on the other side, so that
 * whoever calls sees one kind of error wherever it arose.
 */
import { type ErrorCode, ServingError } from '#contracts/errors.ts'

export interface ServerAddress {
  /** Origin, without a trailing slash. */
  url: string
  /** Absent only for routes that need none. */
  token?: string
}

export interface RequestOptions {
  body?: string | Uint8Array
  contentType?: string
  signal?: AbortSignal
}

/** Nothing accepts connections at the address; retryable once a server runs there. */
export class ServerUnreachable extends Error {
  readonly url: string
  readonly reason: string

  constructor(url: string, reason: string) {
    super(`No glim server answers at ${url}${reason === 'ECONNREFUSED' ? '' : ` (${reason})`}.`)
    this.name = 'ServerUnreachable'
    this.url = url
    this.reason = reason
  }
}

/**
 * Resolves to the text of a successful reply.
 *
 * @throws {ServingError} as the server refused; retryable as it says.
 * @throws {ServerUnreachable} retryable.
 */
export async function requestText(
  address: ServerAddress,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<string> {
  const response = await send(address, method, path, options)
  const text = await response.text().catch((error: unknown) => {
    throw new ServerUnreachable(address.url, `the connection ended within the reply: ${reasonOf(error)}`)
  })
  if (!response.ok) throw refusalFrom(response.status, text, address)
  return text
}

/** Resolves to the body of a successful reply as it comes; throws as `requestText` does. */
export async function requestStream(
  address: ServerAddress,
  path: string,
  options: RequestOptions,
): Promise<ReadableStream<Uint8Array>> {
  const response = await send(address, 'POST', path, options)
  if (!response.ok) throw refusalFrom(response.status, await response.text(), address)
  if (!response.body) throw notGlim(address, response.status)
  return response.body
}

/** Resolves to the JSON of a successful reply; throws as `requestText` does. */
export async function requestJson<T>(
  address: ServerAddress,
  method: string,
  path: string,
  value?: unknown,
): Promise<T> {
  const text = await requestText(address, method, path, value === undefined ? {} : { body: JSON.stringify(value) })
  try {
    return JSON.parse(text) as T
  } catch {
    throw notGlim(address, 200)
  }
}

async function send(
  { url, token }: ServerAddress,
  method: string,
  path: string,
  options: RequestOptions,
): Promise<Response> {
  const { body, contentType = 'application/json', signal } = options
  try {
    return await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: body as BodyInit }),
      ...(signal ? { signal } : {}),
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ServerUnreachable(url, reasonOf(error))
  }
}

/** A refusal as the error that it was on the server. */
export function refusalFrom(status: number, text: string, address: ServerAddress): ServingError {
  const body = parsed(text)
  if (body === null) return notGlim(address, status)
  return new ServingError({
    code: body.error_code,
    status,
    message: body.message,
    retryable: status === 429 || status === 503,
  })
}

function parsed(text: string): { error_code: ErrorCode; message: string } | null {
  try {
    const body = JSON.parse(text) as { error_code?: unknown; message?: unknown } | null
    if (typeof body?.error_code !== 'string' || typeof body.message !== 'string') return null
    return { error_code: body.error_code as ErrorCode, message: body.message }
  } catch {
    return null
  }
}

function notGlim({ url }: ServerAddress, status: number): ServingError {
  return new ServingError({
    code: 'INTERNAL_ERROR',
    status,
    message: `Something answers at ${url} with status ${status}, but not as glim does. Is another program on that port?`,
  })
}

/** fetch says "fetch failed" and keeps the reason in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
  return String(cause)
}
