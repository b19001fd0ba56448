/**
 * A file server on 127.0.0.1 with ranges and tags, that counts what it sends and misbehaves as told: each request takes the next
 * fault from `faults`, and none is left where it serves well.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** The connection ends after that many bytes of the body. */
  | { kind: 'cut'; afterBytes: number }
  /** That many bytes, then silence. */
  | { kind: 'stall'; afterBytes: number }
  /** The body ends early, and no header said how long it would be. */
  | { kind: 'short'; byBytes: number }
  | { kind: 'longer'; byBytes: number }
  | { kind: 'ignore-range' }
  | { kind: 'redirect'; to: string }
  | { kind: 'good' }

export interface OriginServer {
  url: string
  file: Uint8Array
  etag: string | undefined
  faults: Fault[]
  requests: { range: string | undefined; ifRange: string | undefined; headers: IncomingMessage['headers'] }[]
  /** How often each byte of the file left; a fault's extra bytes do not count. */
  sent: Uint8Array
  stop(): Promise<void>
}

export async function startOrigin(file: Uint8Array): Promise<OriginServer> {
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const origin: OriginServer = {
    url: `http://127.0.0.1:${port}/model.onnx?signature=hidden`,
    file,
    etag: `"${createHash('md5').update(file).digest('hex')}"`,
    faults: [],
    requests: [],
    sent: new Uint8Array(file.byteLength),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { range } = request.headers
    const ifRange = request.headers['if-range'] as string | undefined
    origin.requests.push({ range, ifRange, headers: request.headers })
    const fault = origin.faults.shift() ?? { kind: 'good' as const }
    if (fault.kind === 'status') return void response.writeHead(fault.status, fault.headers).end('no')
    if (fault.kind === 'redirect') return void response.writeHead(302, { location: fault.to }).end()

    const tag: Record<string, string> = origin.etag ? { etag: origin.etag } : {}
    const total = origin.file.byteLength
    const parts = /^bytes=(\d+)-(\d+)$/.exec(range ?? '')
    const isPart = parts !== null && fault.kind !== 'ignore-range' && (ifRange === undefined || ifRange === origin.etag)
    const from = isPart ? Number(parts[1]) : 0
    if (from >= total && total > 0) return void response.writeHead(416, { 'content-range': `bytes */${total}` }).end()
    const to = isPart ? Math.min(total, Number(parts[2]) + 1) : total
    const body = origin.file.subarray(from, to)
    const undeclared = fault.kind === 'short' || fault.kind === 'longer'
    response.writeHead(isPart ? 206 : 200, {
      ...tag,
      ...(undeclared ? {} : { 'content-length': body.byteLength }),
      ...(isPart ? { 'content-range': `bytes ${from}-${to - 1}/${undeclared ? '*' : total}` } : {}),
    })
    const send = async (count: number) => {
      for (let at = 0; at < Math.min(count, body.byteLength); at += 16_384) {
        const chunk = body.subarray(at, Math.min(at + 16_384, count))
        if (response.destroyed) return
        for (let byte = from + at; byte < from + at + chunk.byteLength; byte++) origin.sent[byte]! += 1
        // Called with an error where the reader has gone.
        await new Promise<void>((resolve) => response.write(chunk, () => resolve()))
      }
    }
    if (fault.kind === 'stall') return send(fault.afterBytes)
    if (fault.kind === 'cut') {
      await send(fault.afterBytes)
      // What was written leaves before the connection does.
      return void response.write(new Uint8Array(), () => response.destroy())
    }
    await send(fault.kind === 'short' ? body.byteLength - fault.byBytes : body.byteLength)
    if (fault.kind === 'longer') response.write(new Uint8Array(fault.byBytes))
    response.end()
  }
  return origin
}
