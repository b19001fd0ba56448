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
import { type DownloadState, download, type HubFaults, type HubFile } from './hub-download.ts'

export type { HubFaults, HubFile }

export interface HubRequest {
  method: string
  path: string
  range: string | undefined
  ifRange: string | undefined
  authorization: string | undefined
}

export interface TestHub extends DownloadState {
  url: string
  /** 40 hex digits; what every branch points to. */
  commit: string
  /** Every request, oldest first. */
  requests: HubRequest[]
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

function* chunksOf(bytes: Uint8Array, chunkBytes = 64 * 1024): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}
