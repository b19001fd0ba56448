/** Bodies from outside: bounded before they are read, checked for type and encoding before they are parsed. */
import { badRequest, ServingError, tooLarge } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'

export type BodyFormat = 'json' | 'csv'

/** Bodies shorter than this cannot nest deeply enough to hurt what walks through them. */
const depthCheckBytes = 1_024

/** Of a body that is too large, so much is read and dropped at most. */
const dropBytes = 4 * limits.requestBytes
const dropMs = 1_000

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws {ServingError} 415 for a type, parameter or charset that is not accepted. */
export function bodyFormat(contentType: string | null, accepted: readonly BodyFormat[]): BodyFormat {
  if (contentType === 'application/json') return 'json'
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase())
  const format = type === 'application/json' ? 'json' : type === 'text/csv' ? 'csv' : undefined
  if (!format || !accepted.includes(format)) {
    throw unsupportedType(
      `Content-Type ${contentType === null ? 'is missing' : `"${contentType}" is not accepted`}; send application/json${accepted.includes('csv') ? ' or text/csv' : ''}.`,
    )
  }
  for (const parameter of parameters) {
    if (!/^charset=("utf-8"|utf-8|utf8|"utf8")$/.test(parameter)) {
      throw unsupportedType(`Content-Type parameter "${parameter}" is not accepted; the only one is charset=utf-8.`)
    }
  }
  return format
}

/** Resolves to at most `limitBytes` bytes, the most that is kept. @throws {ServingError} 413 beyond, 499 where the sender goes. */
export async function readBytes(request: Request, limitBytes: number, what = 'A request'): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw unsupportedType(`Content-Encoding "${encoding}" is not accepted; send the body as it is.`)
  }
  const announced = request.headers.get('content-length')
  try {
    if (announced !== null && Number(announced) <= limitBytes) return await request.bytes()
    if (!request.body) return new Uint8Array()
    const reader = (request.body as ReadableStream<Uint8Array>).getReader()
    const bytes = announced === null ? await collect(reader, limitBytes) : null
    if (bytes) return bytes
    await drop(reader)
  } catch {
    throw new ServingError({
      code: 'CANCELLED',
      status: 499,
      message: 'The caller went away before its request had ended.',
    })
  }
  throw tooLarge(what, announced === null ? undefined : Number(announced), limitBytes)
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array>

/** Resolves to all bytes, or to null as soon as there are too many. */
async function collect(reader: BodyReader, limitBytes: number): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    sizeBytes += next.value.byteLength
    if (sizeBytes > limitBytes) return null
    parts.push(next.value)
  }
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

/**
 * Reads on for a moment: a connection that is closed on somebody who still sends is reset, and most clients then lose the
 * reply that says why.
 */
async function drop(reader: BodyReader): Promise<void> {
  let isOver = false
  const timer = new Promise<void>((resolve) => setTimeout(resolve, dropMs)).then(() => {
    isOver = true
  })
  const read = async () => {
    for (let sizeBytes = 0; sizeBytes < dropBytes && !isOver; ) {
      const next = await reader.read()
      if (next.done) return
      sizeBytes += next.value.byteLength
    }
  }
  await Promise.race([read().catch(() => {}), timer])
}

/** @throws {ServingError} 400 for bytes that are not UTF-8. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('The body is not valid UTF-8.')
  }
}

/** @throws {ServingError} 400 for text that is no JSON or nests deeper than the limit. */
export function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) throw invalidJson('the body is empty')
  if (bytes.byteLength > depthCheckBytes) checkDepth(bytes)
  const text = decodeText(bytes)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidJson((error as Error).message)
  }
}

/** The parser is not recursive, but what it builds from brackets alone would be many times the body's size. */
function checkDepth(bytes: Uint8Array): void {
  const [quote, backslash, openList, openObject, closeList, closeObject] = [34, 92, 91, 123, 93, 125]
  let depth = 0
  let quoted = false
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === backslash) at++
      else if (byte === quote) quoted = false
    } else if (byte === quote) quoted = true
    else if (byte === openList || byte === openObject) {
      if (++depth > limits.jsonDepth)
        throw badRequest(`The JSON nests deeper than ${limits.jsonDepth} levels (at byte ${at}).`)
    } else if (byte === closeList || byte === closeObject) depth--
  }
}

function invalidJson(reason: string): ServingError {
  return badRequest(`Ensure that input is a valid JSON formatted string: ${reason}.`)
}

function unsupportedType(message: string): ServingError {
  return new ServingError({ code: 'BAD_REQUEST', status: 415, message })
}
