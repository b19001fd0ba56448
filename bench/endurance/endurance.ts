/**
 * 100,000 requests to one isolate: its memory stays where it was and the last thousand take no longer than the first.
 *
 * The graph is a multiplication of two numbers, so that what is measured is what surrounds it: the dispatcher, the frame, the
 * isolate, tensors into the heap and out. Linux only.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { buildWorkers } from '#src/cli/build-workers.ts'
import { GraphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { type BenchServer, startBenchServer } from '../support/served-encoder.ts'

const requests = 100_000
const concurrency = 8
const window = 1_000
const name = 'tiny'
const body = JSON.stringify({ inputs: [[1, 2]] })
const answer = '{"predictions":{"y":[[3,6]]}}'

export async function endurance(): Promise<BenchmarkResult> {
  const server = await startBenchServer({ idleMs: 600_000, workers: await buildWorkers() })
  try {
    await server.serve(name, [{ path: 'model.onnx', bytes: tinyGraph() }])
    // Compiled code and caches settle first.
    await latenciesOf(server, 2_000)
    const memory = [await memoryOf(server)]
    const latencies: number[] = []
    for (let half = 0; half < 2; half++) {
      for (const latency of await latenciesOf(server, requests / 2)) latencies.push(latency)
      memory.push(await memoryOf(server))
    }
    const loads = await loadsOf(server)
    if (loads !== 1) throw new Error(`The model was loaded ${loads} times, not once.`)
    const [firstMs, lastMs] = [median(latencies.slice(0, window)), median(latencies.slice(-window))]
    const [start, , end] = memory
    return {
      rows: memory.map(({ residentMb, heapMb }, at) => ({ requests: (at * requests) / 2, residentMb, heapMb })),
      ratios: { lastVsFirst: rounded(lastMs / firstMs) },
      values: {
        requests,
        firstMs: rounded(firstMs),
        lastMs: rounded(lastMs),
        residentGrowthMb: rounded(end!.residentMb - start!.residentMb, 1),
        heapGrowthMb: rounded(end!.heapMb - start!.heapMb, 1),
      },
    }
  } finally {
    await server.stop()
  }
}

/** `y = 3 x` */
function tinyGraph(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder()
  const x = graph.input('x', 'float32', ['rows', 2])
  graph.add('Mul', [x, graph.floats(3)], { outputs: ['y'] })
  graph.output('y', 'float32', ['rows', 2])
  return graph.bytes()
}

/** Milliseconds of each request, in the order of their answers. */
async function latenciesOf(server: BenchServer, count: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const url = new URL(`/serving-endpoints/${name}/invocations`, server.url)
  const headers = {
    authorization: `Bearer ${server.token}`,
    'content-type': 'application/json',
    'content-length': body.length,
  }
  const latencies: number[] = []
  let sent = 0
  const once = () =>
    new Promise<void>((resolve, reject) => {
      const sentMs = performance.now()
      const outgoing = request(url, { method: 'POST', agent, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => {
          latencies.push(performance.now() - sentMs)
          if (text === answer) resolve()
          else reject(new Error(`A request was answered with ${response.statusCode}: ${text}`))
        })
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  const caller = async () => {
    while (sent++ < count) await once()
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  agent.destroy()
  return latencies
}

/** The engine says its heap while an endpoint comes up, also when it is configured as it was and its isolate stays. */
async function memoryOf(server: BenchServer): Promise<{ residentMb: number; heapMb: number }> {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? []
  const path = `/api/2.0/serving-endpoints/${name}`
  const entity = { entity_name: name, entity_version: '1', scale_to_zero_enabled: true }
  await server.send('PUT', `${path}/config`, { served_entities: [entity] })
  while ((await server.send<Endpoint>('GET', path)).state.config_update === 'IN_PROGRESS') await wait(20)
  const { logs } = await server.send<Logs>('GET', `${path}/served-models/${name}-1/build-logs`)
  const heaps = [...logs.matchAll(/in a heap of ([\d.]+) MiB/g)]
  return { residentMb: rounded(Number(kilobytes) / 1024, 1), heapMb: Number(heaps.at(-1)?.[1]) }
}

/** How often the isolate's model was loaded; once, or its memory says nothing of endurance. */
async function loadsOf(server: BenchServer): Promise<number> {
  const { logs } = await server.send<Logs>('GET', `/api/2.0/serving-endpoints/${name}/served-models/${name}-1/logs`)
  return logs.split(' loaded: ').length - 1
}

interface Endpoint {
  state: { config_update: string }
}

interface Logs {
  logs: string
}
