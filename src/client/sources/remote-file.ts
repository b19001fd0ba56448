/**
 * The bytes of a file behind HTTP as one stream that survives broken connections.
 *
 * A break costs what was in flight: the next request asks for the rest by `Range`, and by `If-Range` only if the file is still
 * the same one; a server that knows no ranges sends everything again and what is there already is passed over. Bytes of two
 * different files are never joined: without a tag and without a digest that would tell, a break is final.
 */
import { unavailable } from '#contracts/errors.ts'
import { asOriginError, openRange } from '#model-cache/origin.ts'
import { type RetryOptions, retrying } from '#model-cache/retry.ts'
import { safeFetch } from './safe-fetch.ts'
import { changed, SourceError } from './source-error.ts'

export interface RemoteFile {
  url: string
  /** Sent to the URL's own origin and to no other. */
  headers?: Readonly<Record<string, string>>
  /** Names the file in errors. */
  name: string
  sizeBytes: number
  /** Bytes of another file cannot pass for this one's: its URL names one state for ever, or a digest is checked at the end. */
  isFixed: boolean
}

export interface RemoteOptions extends RetryOptions {
  /** A connection that brings nothing for so long counts as broken. */
  idleMs?: number
}

/** The stream from a position on. @throws {ServingError | SourceError} while it is read. */
export async function* remoteBytes(file: RemoteFile, from: number, options: RemoteOptions): AsyncGenerator<Uint8Array> {
  const reader = new RemoteReader(file, from, options.idleMs ?? 60_000)
  try {
    while (reader.at < file.sizeBytes) yield await retrying(() => reader.next(), options)
  } finally {
    reader.close()
  }
}

interface Connection {
  body: ReadableStreamDefaultReader<Uint8Array>
  /** Bytes that come again before those that are wanted. */
  skipBytes: number
  end: AbortController
}

class RemoteReader {
  readonly #file: RemoteFile
  readonly #from: number
  readonly #idleMs: number
  #connection: Connection | null = null
  #etag: string | undefined
  /** Position of the next byte. */
  at: number

  constructor(file: RemoteFile, from: number, idleMs: number) {
    this.#file = file
    this.#from = from
    this.#idleMs = idleMs
    this.at = from
  }

  /** Resolves to some bytes more. What fails ends the connection, and the next call makes another. */
  async next(): Promise<Uint8Array> {
    const { name, sizeBytes } = this.#file
    const end = this.#connection?.end ?? new AbortController()
    const idle = setTimeout(
      () => end.abort(unavailable(`${name}: nothing came for ${this.#idleMs} ms.`, 5)),
      this.#idleMs,
    )
    try {
      this.#connection ??= await this.#connect(end)
      for (;;) {
        const { done, value } = await read(this.#connection, name)
        if (done) throw unavailable(`${name} ended after ${this.at} of ${sizeBytes} bytes.`, 5)
        idle.refresh()
        const fresh = value.subarray(Math.min(this.#connection.skipBytes, value.byteLength))
        this.#connection.skipBytes -= value.byteLength - fresh.byteLength
        if (fresh.byteLength === 0) continue
        if (this.at + fresh.byteLength > sizeBytes) throw changed(name, `it goes on after ${sizeBytes} bytes`)
        this.at += fresh.byteLength
        return fresh
      }
    } catch (error) {
      end.abort()
      this.#connection = null
      throw error
    } finally {
      clearTimeout(idle)
    }
  }

  close(): void {
    this.#connection?.end.abort()
  }

  async #connect(end: AbortController): Promise<Connection> {
    const { url, headers, sizeBytes, isFixed, name } = this.#file
    if (this.at > this.#from && this.#etag === undefined && !isFixed) throw notResumable(name)
    const range = { fromByte: this.at, toByte: sizeBytes, sizeBytes, etag: this.#etag, signal: end.signal }
    const { body, skipBytes, etag } = await openRange({ url, headers, fetch: safeFetch(end) }, range)
    this.#etag ??= etag
    return { body: body.getReader(), skipBytes, end }
  }
}

async function read({ body, end }: Connection, name: string) {
  try {
    return await body.read()
  } catch (error) {
    throw asOriginError(error, name, end.signal)
  }
}

function notResumable(name: string): SourceError {
  return new SourceError(
    'SOURCE_UNAVAILABLE',
    `${name} broke off, and its origin gives no ETag by which the rest could be told to be of the same file. Import it again, or with --digest.`,
  )
}
