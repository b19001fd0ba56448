/**
 * The bytes of a file behind HTTP as one stream that survives broken connections.
 *
 * A break costs what was in flight: the next request asks for the rest by `Range`, and by `If-Range` only if the file is still
 * the same one; a server that knows no ranges sends everything again and what is there already is passed over. Bytes of two
 * different files are never joined: without a validator and without a digest that would tell, a break is final.
 */
import { defaultPatience, type Patience, pause } from './patience.ts'
import { type Credential, Interrupted, reasonOf, requestOrigin } from './request-origin.ts'
import { changed, invalid, notFound, SourceError } from './source-error.ts'

export interface RemoteFile {
  url: URL
  /** Names the file in errors. */
  name: string
  sizeBytes: number
  /** Whether a digest will be checked at the end. */
  hasDigest: boolean
}

export interface RemoteOptions {
  credential?: Credential | undefined
  patience?: Patience
  /** A connection that brings nothing for so long counts as broken. */
  idleMs?: number
}

/** The stream from a position on. @throws {SourceError} while it is read. */
export async function* remoteBytes(file: RemoteFile, from: number, options: RemoteOptions): AsyncGenerator<Uint8Array> {
  const { credential, patience = defaultPatience, idleMs = 60_000 } = options
  let at = from
  let seen: Validator | undefined
  let failures = 0
  while (at < file.sizeBytes) {
    const connection = new AbortController()
    const idle = setTimeout(() => connection.abort(new Error(`nothing came for ${idleMs} ms`)), idleMs)
    try {
      const response = await requestOrigin(file.url, {
        credential,
        headers: rangeHeaders(at, seen),
        signal: connection.signal,
      })
      const validator = validatorOf(response)
      if (seen && !isSame(seen, validator)) throw changed(file.name, 'the origin has another file there now')
      if (at > from && !seen && !file.hasDigest) throw notResumable(file)
      let skip = at - (await startOf(response, at, file))
      seen ??= validator
      for await (const chunk of chunksOf(response, connection.signal)) {
        idle.refresh()
        const fresh = chunk.subarray(Math.min(skip, chunk.byteLength))
        skip -= chunk.byteLength - fresh.byteLength
        if (fresh.byteLength === 0) continue
        if (at + fresh.byteLength > file.sizeBytes) throw changed(file.name, `it goes on after ${file.sizeBytes} bytes`)
        at += fresh.byteLength
        failures = 0
        yield fresh
        idle.refresh()
      }
      if (at < file.sizeBytes) throw new Interrupted(`${file.name} broke off after ${at} of ${file.sizeBytes} bytes`)
    } catch (error) {
      failures += 1
      await pause(error, failures, patience)
    } finally {
      clearTimeout(idle)
      connection.abort()
    }
  }
}

/** What tells one state of a file from another. */
interface Validator {
  text: string
  /** Equal means the same bytes, so `If-Range` may carry it. */
  isStrong: boolean
}

function validatorOf({ headers }: Response): Validator | undefined {
  const etag = headers.get('etag')
  if (etag) return { text: etag, isStrong: !etag.startsWith('W/') }
  const modified = headers.get('last-modified')
  return modified ? { text: modified, isStrong: true } : undefined
}

function isSame(seen: Validator, now: Validator | undefined): boolean {
  return now === undefined || now.text === seen.text
}

function rangeHeaders(at: number, seen: Validator | undefined): Record<string, string> {
  if (at === 0) return {}
  return { range: `bytes=${at}-`, ...(seen?.isStrong ? { 'if-range': seen.text } : {}) }
}

/** Resolves to the position at which the reply begins. */
async function startOf(response: Response, at: number, { name, sizeBytes }: RemoteFile): Promise<number> {
  const { status, headers } = response
  if (status === 206) {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
    if (start !== String(at)) throw invalid(`${name}: bytes from ${at} were asked for and ${start ?? 'none'} came.`)
    if (total !== '*' && Number(total) !== sizeBytes)
      throw changed(name, `it has ${total} bytes instead of ${sizeBytes}`)
    return at
  }
  if (status === 200) {
    const length = headers.get('content-length')
    if (length !== null && Number(length) !== sizeBytes)
      throw changed(name, `it has ${length} bytes instead of ${sizeBytes}`)
    return 0
  }
  await response.body?.cancel()
  if (status === 416) throw changed(name, `it ends before byte ${at}`)
  if (status === 404) throw notFound(`${name} is not there any more.`)
  throw new SourceError('SOURCE_REFUSED', `${name}: the origin answers ${status}.`)
}

async function* chunksOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new Interrupted(`The connection broke (${reasonOf(signal.aborted ? signal.reason : error)})`)
      })
      if (done) return
      yield value
    }
  } finally {
    // Where the consumer stopped, the rest is not to come.
    await reader.cancel().catch(() => {})
  }
}

function notResumable({ name }: RemoteFile): SourceError {
  return new SourceError(
    'SOURCE_UNAVAILABLE',
    `${name} broke off, and its origin gives neither ETag nor date by which the rest could be told to be of the same file. Import it with --digest, or again.`,
  )
}
