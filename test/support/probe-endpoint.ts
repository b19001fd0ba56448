/**
 * Endpoint code that tries to get out, mounted in place of ours: what a graph or a library could do if it took over the
 * isolate. Each attempt is reported as what it got, or as the refusal.
 */
import { DurableObject } from 'cloudflare:workers'
import { decodeFrame, encodeFrame } from '#contracts/frame.ts'
import type { StringTensor } from '#contracts/tensor.ts'

export interface ProbeTargets {
  /** The server's own address. */
  url: string
  token: string
  /** The manifest of another version, its graph's digest and the path of a file that only it has. */
  manifest: string
  digest: string
  path: string
}

export interface ProbeReport {
  /** What it may: so that a refusal of all the rest is not the refusal of everything. */
  ownWeights: string
  attempts: Record<string, string>
  envKeys: string[]
  /** All that the isolate can read as text, for a search after secrets. */
  readable: string
  globals: string[]
}

type Weights = { fetch(url: string, init?: RequestInit): Promise<Response> } & Record<
  string,
  (...args: unknown[]) => Promise<unknown>
>

export class Endpoint extends DurableObject<{ SPEC: unknown; WEIGHTS: Weights }> {
  async fetch(request: Request): Promise<Response> {
    const port = { name: 'x', dtype: 'string', shape: ['n'] }
    if (new URL(request.url).pathname === '/describe') {
      return Response.json({
        signature: { inputs: [port], outputs: [port], params: [] },
        heapBytes: 0,
        weightsBytes: 0,
      })
    }
    if (new URL(request.url).pathname === '/measure') return Response.json({ capabilities: null })
    const { tensors } = decodeFrame(await request.bytes())
    const [asked = ''] = (tensors.x as StringTensor).strings
    const report = asked === '' ? '' : JSON.stringify(await this.#probe(JSON.parse(asked), request))
    const usage = { promptTokens: 0, runMs: 0, loadMs: 0 }
    return new Response(encodeFrame({ x: { dtype: 'string', shape: [1], strings: [report] } }, { usage }) as BodyInit)
  }

  douse(): void {}

  async #probe(targets: ProbeTargets, request: Request): Promise<ProbeReport> {
    const { url, token, manifest, digest, path } = targets
    const { WEIGHTS } = this.env
    const context = this.ctx as unknown as Record<string, never>
    const headers = { authorization: `Bearer ${token}` }
    const host = new URL(url).host
    const weights = (query: string, init?: RequestInit) => async () =>
      textOf(await WEIGHTS.fetch(`http://weights/${query}`, init))
    const attempts: Record<string, () => Promise<unknown>> = {
      'fetch the server': async () => textOf(await fetch(`${url}health`)),
      'fetch the server with a token': async () => textOf(await fetch(`${url}v1/models`, { headers })),
      'fetch the internet': async () => textOf(await fetch('https://example.com/')),
      'fetch the host': async () =>
        textOf(await fetch('http://host/blobs/missing', { method: 'POST', body: '{"digests":[]}' })),
      'fetch a file': async () => textOf(await fetch('file:///etc/passwd')),
      'open a socket': async () => void (await (await platformModule('sockets')).connect(host).opened),
      'open a web socket': async () =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(`ws://${host}/health`)
          socket.addEventListener('open', () => resolve('open'))
          socket.addEventListener('error', () => reject(new Error('refused')))
        }),
      'open an event source': async () =>
        new Promise((resolve, reject) => {
          const source = new EventSource(`${url}health`)
          source.onopen = () => resolve('open')
          source.onerror = () => reject(new Error('refused'))
        }),
      'write the default cache': async () =>
        void (await (caches as unknown as { default: Cache }).default.put(
          'http://x/',
          new Response('x', { headers: { 'cache-control': 'max-age=60' } }),
        )),
      'write a named cache': async () =>
        void (await (
          await caches.open('x')
        ).put('http://x/', new Response('x', { headers: { 'cache-control': 'max-age=60' } }))),
      'read the file of another version': weights(`?path=${encodeURIComponent(path)}`),
      'name another manifest': weights(`?path=${encodeURIComponent(path)}&manifest=${manifest}`),
      'name another manifest first': weights(`?manifest=${manifest}&path=${encodeURIComponent(path)}`),
      'name another manifest in a header': weights(`?path=${encodeURIComponent(path)}`, {
        headers: { 'x-glim-spec': encodeURIComponent(JSON.stringify({ manifest })) },
      }),
      'ask for a digest': weights(`?path=${digest}`),
      'ask for a digest as path': weights(`blobs/${digest}`),
      'climb with ..': weights(`?path=${encodeURIComponent('../../blobs')}`),
      'climb with an absolute path': weights(`?path=${encodeURIComponent('/etc/passwd')}`),
      'climb with a zero': weights(`?path=${encodeURIComponent('model.onnx\0.txt')}`),
      'ask without a path': weights(''),
      'write a weight': weights('?path=model.onnx', { method: 'PUT', body: 'changed' }),
      'write a snapshot': weights('snapshot', { method: 'PUT', body: 'changed' }),
      'write a snapshot as a builder would': async () =>
        textOf(
          await (this.env as unknown as { SINK: Weights }).SINK.fetch('http://snapshots/', {
            method: 'PUT',
            body: 'x',
          }),
        ),
      'delete a weight': weights('?path=model.onnx', { method: 'DELETE' }),
      'read the props of the weights': async () =>
        JSON.stringify(await (WEIGHTS as unknown as Record<string, unknown>).ctx),
      'read the bindings of the weights': async () =>
        JSON.stringify(await (WEIGHTS as unknown as Record<string, unknown>).env),
      'call the weights for a method': async () => await WEIGHTS.readManifest?.(manifest),
      'mount another class': async () =>
        JSON.stringify(
          await (context.facets as unknown as { get(...args: unknown[]): { fetch(url: string): Promise<Response> } })
            .get('other', async () => ({ class: (context.exports as unknown as Record<string, unknown>).Replica }))
            .fetch('http://x/'),
        ),
      'compile code': async () => new Function('return 1')(),
      'evaluate code': async () => Reflect.get(globalThis, ['ev', 'al'].join(''))('1'),
      'compile a module': async () => String(await WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))),
      'import node:fs': async () => Object.keys(await import(/* @vite-ignore */ ['node', 'fs'].join(':'))).join(),
      'read process.env': async () =>
        JSON.stringify((globalThis as unknown as { process: { env: object } }).process.env),
    }
    const report: ProbeReport = {
      ownWeights: await weights('?path=model.onnx')(),
      attempts: {},
      envKeys: Object.keys(this.env),
      readable: '',
      globals: Object.getOwnPropertyNames(globalThis),
    }
    for (const [title, attempt] of Object.entries(attempts)) {
      const late = new Promise<string>((resolve) => setTimeout(resolve, 1_000, 'refused: nothing happened'))
      report.attempts[title] = await Promise.race([
        attempt().then(
          (got) => `got: ${got}`,
          (error: unknown) => `refused: ${error}`,
        ),
        late,
      ])
    }
    report.readable = JSON.stringify([
      this.env,
      Object.keys(context),
      [...request.headers],
      request.url,
      navigator.userAgent,
    ])
    return report
  }
}

export default {}

/** Not known to the compiler, so that the name is made at run time. */
function platformModule(name: string): Promise<{ connect(address: string): { opened: Promise<unknown> } }> {
  return import(/* @vite-ignore */ ['cloudflare', name].join(':'))
}

async function textOf(response: Response): Promise<string> {
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return text
}
