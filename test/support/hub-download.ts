/** The download side of the test hub: ranges, tags, and everything that can go wrong with a transfer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

export interface HubFile {
  sizeBytes: number
  /** Lower-case hex, for files in large-file storage. */
  sha256?: string
  read(from: number): Readable
}

/** How downloads go wrong; every switch may be set and cleared at any time. */
export interface HubFaults {
  /** Ranges are ignored: always 200 and everything. */
  noRange?: boolean
  /** Each download breaks off after so many bytes, this often. */
  cut?: { afterBytes: number; times: number }
  /** As `cut`, but the connection stays open and nothing more comes. */
  stall?: { afterBytes: number; times: number }
  /** So many requests are answered with this status first. */
  refuse?: { status: number; times: number; retryAfter?: string }
  /** The byte at this position of a file is another one. */
  wrongByteAt?: number
  noEtag?: boolean
  /** Another ETag with every request, as of a file that is replaced all the time. */
  newEtagEachTime?: boolean
  /** Downloads are redirected here, path and all. */
  redirectTo?: string
  /** API and files need this token. */
  token?: string
  /** Milliseconds between chunks of 64 KiB. */
  slowMs?: number
}

export interface DownloadState {
  faults: HubFaults
  /** Download requests and body bytes by file path. */
  files: Map<string, { requests: number; bytes: number }>
}

/** Answers a request for a file, as the faults have it. */
export async function download(
  { faults, files }: DownloadState,
  path: string,
  file: HubFile,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const counted = files.get(path) ?? { requests: 0, bytes: 0 }
  files.set(path, counted)
  counted.requests += 1
  if (faults.redirectTo !== undefined) {
    response.writeHead(302, { location: `${faults.redirectTo}${request.url}` }).end()
    return
  }
  if (faults.refuse && faults.refuse.times > 0) {
    faults.refuse.times -= 1
    const { status, retryAfter } = faults.refuse
    response.writeHead(status, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end()
    return
  }
  const etag = `"${file.sha256 ?? `${path}-${file.sizeBytes}`}${faults.newEtagEachTime ? counted.requests : ''}"`
  const start = faults.noRange ? 0 : startOf(request, etag)
  if (start > 0 && start >= file.sizeBytes) {
    response.writeHead(416, { 'content-range': `bytes */${file.sizeBytes}` }).end()
    return
  }
  const isPart = !faults.noRange && request.headers.range !== undefined && ifRangeHolds(request, etag)
  const end = isPart ? endOf(request, file.sizeBytes) : file.sizeBytes
  response.writeHead(isPart ? 206 : 200, {
    'content-length': end - start,
    ...(faults.noEtag ? {} : { etag }),
    ...(isPart ? { 'content-range': `bytes ${start}-${end - 1}/${file.sizeBytes}` } : {}),
    ...(faults.noRange ? {} : { 'accept-ranges': 'bytes' }),
  })
  let at = start
  for await (const chunk of file.read(start)) {
    let bytes = (chunk as Uint8Array).subarray(0, end - at)
    const { cut, stall } = faults
    const fault = [cut, stall].find((one) => one && one.times > 0)
    const left = fault ? Math.max(0, fault.afterBytes - (at - start)) : bytes.byteLength
    bytes = bytes.subarray(0, left)
    if (faults.wrongByteAt !== undefined) bytes = corrupted(bytes, faults.wrongByteAt - at)
    at += bytes.byteLength
    counted.bytes += bytes.byteLength
    if (bytes.byteLength > 0 && !response.write(bytes)) await drained(response)
    if (response.destroyed) return
    if (fault && at - start >= fault.afterBytes) {
      fault.times -= 1
      // Ended, not destroyed: what was written reaches the client first, so that the cut is where it was wanted.
      if (fault === cut) response.socket?.end()
      return
    }
    if (at === end) break
    if (faults.slowMs !== undefined) await new Promise((resolve) => setTimeout(resolve, faults.slowMs))
  }
  response.end()
}

/** Resolves when there is room again, or nobody reads any more. */
async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const event of ['drain', 'close']) response.once(event, resolve)
  await promise
  for (const event of ['drain', 'close']) response.off(event, resolve)
}

function startOf(request: IncomingMessage, etag: string): number {
  const [, start] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? []
  return start !== undefined && ifRangeHolds(request, etag) ? Number(start) : 0
}

/** Exclusive. */
function endOf(request: IncomingMessage, sizeBytes: number): number {
  const [, last] = /^bytes=\d+-(\d+)$/.exec(request.headers.range ?? '') ?? []
  return last === undefined ? sizeBytes : Math.min(sizeBytes, Number(last) + 1)
}

function ifRangeHolds(request: IncomingMessage, etag: string): boolean {
  const validator = request.headers['if-range']
  return validator === undefined || validator === etag
}

function corrupted(bytes: Uint8Array, at: number): Uint8Array {
  if (at < 0 || at >= bytes.byteLength) return bytes
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1
  return copy
}
