/**
 * Why an endpoint is mounted as a facet of a Durable Object: requests share one I/O context there, so one loop may feed the
 * streams of all, as continuous batching does, and goes on when the request that started it has gone. Mounted as a plain
 * dynamic worker, the loop ends with its request. If the second fact ever changes, facets may no longer be needed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Miniflare } from '#src/cli/miniflare.ts'

const tokens = 30

/** One token a turn for everybody who waits; whoever finds no loop starts it. */
const endpoint = `
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers'
const encoder = new TextEncoder()
const waiting = new Set()
let loops = 0, isRunning = false
async function loop() {
  loops += 1
  isRunning = true
  while (waiting.size > 0) {
    await new Promise((next) => setTimeout(next, 5))
    for (const one of waiting) {
      try { one.controller.enqueue(encoder.encode('t')) } catch { waiting.delete(one); continue }
      if (--one.left === 0) { one.controller.close(); waiting.delete(one) }
    }
  }
  isRunning = false
}
function serve(request) {
  if (new URL(request.url).pathname === '/loops') return new Response(String(loops))
  let one
  return new Response(new ReadableStream({
    start(controller) {
      one = { controller, left: ${tokens} }
      waiting.add(one)
      if (!isRunning) loop()
    },
    cancel() { waiting.delete(one) },
  }), { headers: { 'content-type': 'text/event-stream', 'content-encoding': 'identity' } })
}
export class Endpoint extends DurableObject { fetch(request) { return serve(request) } }
export default class extends WorkerEntrypoint { fetch(request) { return serve(request) } }`

const host = `
import { DurableObject } from 'cloudflare:workers'
import endpoint from './endpoint.js.txt'
const code = async () => ({
  compatibilityDate: '2026-07-30',
  compatibilityFlags: ['enable_request_signal', 'request_signal_passthrough'],
  mainModule: 'endpoint.js',
  modules: { 'endpoint.js': endpoint },
  globalOutbound: null,
})
export class Replica extends DurableObject {
  fetch(request) {
    const worker = this.env.LOADER.get('as-facet', code)
    return this.ctx.facets.get('endpoint', async () => ({ class: worker.getDurableObjectClass('Endpoint') })).fetch(request)
  }
}
export default {
  fetch(request, env) {
    const mount = request.headers.get('x-mount')
    return mount === 'facet' ? env.REPLICA.getByName('one').fetch(request) : env.LOADER.get('as-worker', code).getEntrypoint().fetch(request)
  },
}`

let miniflare: Miniflare
let url: URL
beforeAll(async () => {
  const text = { type: 'text', contents: endpoint }
  miniflare = new Miniflare({
    port: 0,
    cf: false,
    handleStructuredLogs: () => {},
    workers: [
      {
        config: {
          name: 'host',
          compatibilityDate: '2026-11-01',
          compatibilityFlags: ['enable_request_signal', 'request_signal_passthrough'],
          manifest: {
            mainModule: 'host.js',
            modules: {
              'host.js': { type: 'esm', contents: host },
              'endpoint.js.txt': text as unknown as { type: 'esm'; contents: string },
            },
          },
          env: {
            LOADER: { type: 'worker-loader' },
            REPLICA: { type: 'durable-object', worker: 'host', exportName: 'Replica' },
          },
          exports: { Replica: { type: 'durable-object', storage: 'sqlite' } },
        },
      },
    ],
  })
  url = await miniflare.ready
})
afterAll(() => miniflare.dispose())

/** Counts the tokens of one stream; goes away after `stopAfter` of them. */
async function read(
  mount: string,
  onToken: (seen: number) => void = () => {},
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<number> {
  const abort = new AbortController()
  let seen = 0
  try {
    const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(3_000)])
    const response = await fetch(url, { headers: { 'x-mount': mount }, signal })
    for await (const chunk of response.body!) {
      seen += chunk.byteLength
      onToken(seen)
      if (seen >= stopAfter) abort.abort()
    }
  } catch {
    // Its own going away, or the end that the server made of it: `seen` says how far it came.
  }
  return seen
}

/** The first starts the loop and goes away in the middle; the others join meanwhile. */
async function joinAndLeave(mount: string): Promise<{ first: number; others: number[] }> {
  let others: Promise<number>[] = []
  const first = await read(
    mount,
    (seen) => {
      if (seen >= 3 && others.length === 0) others = [read(mount), read(mount)]
    },
    10,
  )
  return { first, others: await Promise.all(others) }
}

describe('a loop that one request started', () => {
  it('feeds the streams of other requests to their end after that request has gone, in a facet', async () => {
    const { first, others } = await joinAndLeave('facet')
    expect(first).toBeGreaterThanOrEqual(10)
    expect(first).toBeLessThan(tokens)
    expect(others).toEqual([tokens, tokens])
    expect(await (await fetch(new URL('/loops', url), { headers: { 'x-mount': 'facet' } })).text()).toBe('1')
  })

  it('leaves the streams of other requests cut, in a plain dynamic worker', async () => {
    const { others } = await joinAndLeave('worker')
    expect(others).toHaveLength(2)
    for (const seen of others) expect(seen).toBeLessThan(tokens)
  })
})
