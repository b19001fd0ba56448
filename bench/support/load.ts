/** A closed loop of requests over kept connections: each of `concurrency` callers sends its next request when the last was answered. */
import { Agent, request } from 'node:http'

export interface LoadOptions {
  url: string
  body: string
  headers: Readonly<Record<string, string>>
  concurrency: number
  durationMs: number
}

export interface LoadResult {
  requests: number
  failures: number
  durationMs: number
  p50Ms: number
  p99Ms: number
}

export async function runLoad({ url, body, headers, concurrency, durationMs }: LoadOptions): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const endMs = performance.now() + durationMs
  const startedMs = performance.now()
  const latencies: number[] = []
  let failures = 0

  const once = () =>
    new Promise<void>((resolve) => {
      const sentMs = performance.now()
      const outgoing = request(
        url,
        { method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
        (response) => {
          if (response.statusCode !== 200) failures += 1
          response.resume().on('end', () => {
            latencies.push(performance.now() - sentMs)
            resolve()
          })
        },
      )
      outgoing.on('error', () => {
        failures += 1
        resolve()
      })
      outgoing.end(body)
    })
  const caller = async () => {
    while (performance.now() < endMs) await once()
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  agent.destroy()
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return {
    requests: latencies.length,
    failures,
    durationMs: performance.now() - startedMs,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}
