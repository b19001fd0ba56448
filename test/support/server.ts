/** A whole server for one test file, on a free port, with its state in a temporary folder. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deserialize } from 'node:v8'
import { inject } from 'vitest'
import type { BuiltWorkers } from '#src/cli/build-workers.ts'
import { type Server, type ServerOptions, startServer } from '#src/cli/start-server.ts'

export const adminTestToken = 'administrator-of-the-test'

export interface TestServer extends Server {
  home: string
  /** What the workers printed. */
  lines: string[]
  /** A request with the administrator's token, or another one; objects are sent as JSON. */
  send(method: string, path: string, body?: unknown, options?: SendOptions): Promise<Reply>
}

export interface SendOptions {
  token?: string | null
  headers?: Record<string, string>
  signal?: AbortSignal
}

export interface Reply {
  status: number
  headers: Headers
  text: string
  /** The body parsed as JSON; undefined where it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of many shapes
  json: any
}

export async function startTestServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'glim-test-')))
  const lines: string[] = []
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    home,
    adminTokenHash: createHash('sha256').update(adminTestToken).digest('hex'),
    idleMs: 300_000,
    expectStarters: false,
    log: (line) => lines.push(line),
    workers: await builtWorkers(),
    ...options,
  })
  return {
    ...server,
    home,
    lines,
    send: (method, path, body, sendOptions) => sendTo(new URL(path, server.url), method, body, sendOptions),
    async stop() {
      await server.stop()
      if (options.home === undefined) await rm(home, { recursive: true, force: true })
    },
  }
}

/** A copy of the workers as they are bundled once for all test files, to put modules of one's own in. */
export async function builtWorkers(): Promise<BuiltWorkers> {
  return deserialize(await readFile(inject('workersFile'))) as BuiltWorkers
}

export async function sendTo(
  url: URL,
  method: string,
  body: unknown,
  { token = adminTestToken, headers = {}, signal }: SendOptions = {},
): Promise<Reply> {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body !== undefined && !isRaw ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isRaw ? (body as BodyInit) : JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: parsed(text) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
