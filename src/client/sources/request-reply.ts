/** One reply with its headers, asked for again while that may help: what a hub's API says, or what a URL has. */
import { unavailable } from '#contracts/errors.ts'
import { addressOf, asOriginError, openRange } from '#model-cache/origin.ts'
import { retrying } from '#model-cache/retry.ts'
import type { RemoteOptions } from './remote-file.ts'
import { safeFetch } from './safe-fetch.ts'
import { invalid } from './source-error.ts'

export interface ReplyRequest extends RemoteOptions {
  url: string
  /** Sent to the URL's own origin and to no other. */
  headers?: Readonly<Record<string, string>> | undefined
  /** A server of ranges is not asked for more. */
  mostBytes: number
}

export interface Reply {
  /** 200 or 206, at the end of all redirects. */
  status: number
  headers: Headers
  /** @throws {SourceError} where it has more than `mostBytes`. */
  text(): Promise<string>
}

/** Resolves to what `use` makes of the reply, which ends with it. @throws {ServingError | SourceError} naming the address. */
export async function requestReply<T>(request: ReplyRequest, use: (reply: Reply) => Promise<T> | T): Promise<T> {
  const { url, headers, mostBytes, idleMs = 60_000 } = request
  const where = addressOf(url)
  return retrying(async () => {
    const end = new AbortController()
    const late = setTimeout(() => end.abort(unavailable(`${where} took more than ${idleMs} ms.`, 5)), idleMs)
    let last = new Response()
    const fetch = async (target: string, init: RequestInit) => {
      last = await safeFetch(end)(target, init)
      return last
    }
    try {
      const range = { fromByte: 0, toByte: mostBytes, signal: end.signal }
      const { body } = await openRange({ url, headers, fetch }, range)
      const text = () => textOf(body, where, mostBytes, end.signal)
      return await use({ status: last.status, headers: last.headers, text })
    } finally {
      clearTimeout(late)
      end.abort()
    }
  }, request)
}

async function textOf(
  body: ReadableStream<Uint8Array>,
  where: string,
  mostBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const decoder = new TextDecoder()
  const reader = body.getReader()
  let text = ''
  for (let sizeBytes = 0; ; ) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw asOriginError(error, where, signal)
    })
    if (done) return text + decoder.decode()
    sizeBytes += value.byteLength
    if (sizeBytes > mostBytes) throw invalid(`${where} answers with more than ${mostBytes} bytes.`)
    text += decoder.decode(value, { stream: true })
  }
}
