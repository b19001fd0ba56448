/**
 * A hub with Hugging Face's URL layout over files in memory or folders on disk, on 127.0.0.1: it counts what is asked of it and
 * misbehaves as a test tells it to.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import { Readable } from 'node:stream'

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

export interface HubRequest {
  method: string
  path: string
  range: string | undefined
  ifRange: string | undefined
  authorization: string | undefined
}

export interface TestHub {
  url: string
  /** 40 hex digits; what every branch points to. */
  commit: string
  faults: HubFaults
  /** Every request, oldest first. */
  requests: HubRequest[]
  /** Download requests and body bytes by file path. */
  files: Map<string, { requests: number; bytes: number }>
  /** The branch now points somewhere else; the old commit stays. */
  moveBranch(): string
  stop(): Promise<void>
}

export type Repository = ReadonlyMap<string, HubFile>

export function memoryFile(bytes: Uint8Array, { lfs = true } = {}): HubFile {
  return {
    sizeBytes: bytes.byteLength,
    ...(lfs ? { sha256: createHash('sha256').update(bytes).digest('hex') } : {}),
    read: (from) => Readable.from(chunksOf(bytes.subarray(from))),
  }
}

/** `.onnx` and its external data are in large-file storage, the rest is not, as on the hub. */
export async function folderRepository(folder: string): Promise<Repository> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map(async (entry): Promise<[string, HubFile]> => {
      const location = join(entry.parentPath, entry.name)
      const isLarge = /\.onnx/.test(entry.name)
      const { size: sizeBytes } = await stat(location)
      const sha256 = createHash('sha256')
      if (isLarge) sha256.update(await readFile(location))
      return [
        relative(folder, location),
        {
          sizeBytes,
          ...(isLarge ? { sha256: sha256.digest('hex') } : {}),
          read: (start) => createReadStream(location, { start }),
        },
      ]
    })
  return new Map(await Promise.all(files))
}

/** @param repositories by `OWNER/NAME`. */
export async function startTestHub(repositories: Readonly<Record<string, Repository>>): Promise<TestHub> {
  let moves = 0
  const commitOf = (move: number) => createHash('sha1').update(`commit ${move}`).digest('hex')
  const hub: Omit<TestHub, 'url' | 'stop'> = {
    commit: commitOf(0),
    faults: {},
    requests: [],
    files: new Map(),
    moveBranch: () => {
      hub.commit = commitOf(++moves)
      return hub.commit
    },
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/', headers } = request
    const path = url.split('?')[0]!
    hub.requests.push({
      method,
      path,
      range: headers.range,
      ifRange: headers['if-range'] as string | undefined,
      authorization: headers.authorization,
    })
    const { token } = hub.faults
    if (token !== undefined && headers.authorization !== `Bearer ${token}`) return json(response, 401, {})
    const [, api, name, rest = ''] = /^(\/api\/models)?\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? []
    const repository = name === undefined ? undefined : repositories[name]
    if (!repository) return json(response, 404, { error: 'Repository not found' })
    const known = Array.from({ length: moves + 1 }, (_, move) => commitOf(move))
    if (api !== undefined) {
      const [, kind, revision] = /^(revision|tree)\/([^/]+)$/.exec(rest) ?? []
      const named = decodeURIComponent(revision ?? '')
      if (named !== 'main' && !known.includes(named)) return json(response, 404, { error: 'Invalid rev id' })
      if (kind === 'revision') return json(response, 200, { sha: named === 'main' ? hub.commit : named })
      return json(response, 200, treeOf(repository))
    }
    const [, revision = '', file = ''] = /^resolve\/([^/]+)\/(.*)$/.exec(rest) ?? []
    const found = known.includes(revision) ? repository.get(decodeURIComponent(file)) : undefined
    if (!found) return json(response, 404, { error: 'Entry not found' })
    return download(hub, decodeURIComponent(file), found, request, response)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(hub, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

async function download(
  { faults, files }: Pick<TestHub, 'faults' | 'files'>,
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

function treeOf(repository: Repository): unknown {
  return [...repository].map(([path, { sizeBytes, sha256 }]) => ({
    type: 'file',
    oid: createHash('sha1').update(path).digest('hex'),
    size: sizeBytes,
    path,
    ...(sha256 === undefined ? {} : { lfs: { oid: sha256, size: sizeBytes, pointerSize: 134 } }),
  }))
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function corrupted(bytes: Uint8Array, at: number): Uint8Array {
  if (at < 0 || at >= bytes.byteLength) return bytes
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1
  return copy
}

function* chunksOf(bytes: Uint8Array, chunkBytes = 64 * 1024): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}
