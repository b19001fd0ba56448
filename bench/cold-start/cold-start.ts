/**
 * From no isolate to the first embedding, through dispatcher and host: ours from its heap snapshot against onnxruntime-web's own
 * frontend reading the `.onnx`. Two servers, in turns; each request finds its endpoint scaled to zero.
 * `vsStock` is of servers that have run the engine before, so that its code is compiled; `vsStockFresh` is of the first request after a
 * server's start, where each side also compiles what it runs.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { buildWorkers } from '#src/cli/build-workers.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { bundledEndpoint } from '../support/bundle-endpoint.ts'
import { cpuMs } from '../support/cpu-time.ts'
import { encoderModel, encoderShape } from '../support/encoder-model.ts'
import { textOf } from '../support/seeded-weights.ts'
import { type BenchServer, inOrtForm, startBenchServer } from '../support/served-encoder.ts'

const rounds = 11
const freshRounds = 5
const idleMs = 200
const text = textOf(14, 1, encoderShape.vocabulary)
const name = 'encoder'

interface Start {
  ms: number
  /** Of the whole process: what a busy machine does not move. */
  cpuMs: number
  vector: number[]
  load: string
}

export async function coldStart(): Promise<BenchmarkResult> {
  const files = encoderModel({ weights: 'q8row' })
  const workers = await buildWorkers()
  const stockWorkers = await buildWorkers()
  stockWorkers.host.modules['endpoint-feature-extraction.js.txt'] = {
    type: 'text',
    contents: await bundledEndpoint('cold-start/stock-endpoint.ts'),
  }
  const homes = {
    ours: await mkdtemp(join(tmpdir(), 'glim-bench-')),
    stock: await mkdtemp(join(tmpdir(), 'glim-bench-')),
  }
  const open = {
    ours: () => startBenchServer({ idleMs, workers, home: homes.ours }),
    stock: () => startBenchServer({ idleMs, workers: stockWorkers, home: homes.stock }),
  }
  const task = { task: 'feature-extraction' }
  try {
    const warm = await withServers(open, async (servers) => {
      await servers.ours.serve(name, await inOrtForm(files), task)
      await servers.stock.serve(name, files, task)
      while (!(await start(servers.ours)).load.includes('from its snapshot')) await wait(100)
      await start(servers.stock)
      return inTurns(rounds, (side) => start(servers[side]))
    })
    requireEqual(warm.ours[0]!.vector, warm.stock[0]!.vector)
    const fresh = await inTurns(freshRounds, async (side) => {
      const server = await open[side]()
      return start(server).finally(() => server.stop())
    })
    return resultOf(warm, fresh)
  } finally {
    for (const home of Object.values(homes)) await rm(home, { recursive: true, force: true, maxRetries: 5 })
  }
}

type Side = 'ours' | 'stock'
type Starts = Record<Side, Start[]>

async function withServers<T>(
  open: Record<Side, () => Promise<BenchServer>>,
  use: (servers: Record<Side, BenchServer>) => Promise<T>,
): Promise<T> {
  const ours = await open.ours()
  try {
    const stock = await open.stock()
    return await use({ ours, stock }).finally(() => stock.stop())
  } finally {
    await ours.stop()
  }
}

/** Both sides once a round, the order reversed from round to round. */
async function inTurns(count: number, once: (side: Side) => Promise<Start>): Promise<Starts> {
  const starts: Starts = { ours: [], stock: [] }
  for (let round = 0; round < count; round++) {
    const order = round % 2 === 0 ? (['ours', 'stock'] as const) : (['stock', 'ours'] as const)
    for (const side of order) starts[side].push(await once(side))
  }
  return starts
}

async function start(server: BenchServer): Promise<Start> {
  await server.untilCold(name)
  const [startedMs, startedCpuMs] = [performance.now(), cpuMs(server.pid)]
  const { predictions } = await server.send<{ predictions: number[][] }>(
    'POST',
    `/serving-endpoints/${name}/invocations`,
    { inputs: [text] },
  )
  const ms = performance.now() - startedMs
  return { ms, cpuMs: cpuMs(server.pid) - startedCpuMs, vector: predictions[0]!, load: await server.lastLoad(name) }
}

function resultOf({ ours, stock }: Starts, fresh: Starts): BenchmarkResult {
  const msOf = (starts: readonly Start[]) => median(starts.map(({ ms }) => ms))
  const part = (pattern: RegExp) => median(ours.map(({ load }) => Number(pattern.exec(load)?.[1] ?? Number.NaN)))
  const [sessionMs, taskMs, runMs] = [part(/session (\d+)/), part(/task (\d+)/), part(/first run: (\d+)/)]
  const totalMs = msOf(ours)
  const cpuOf = (starts: readonly Start[]) => starts.reduce((sum, start) => sum + start.cpuMs, 0) / starts.length
  return {
    rows: [
      { side: 'ours, from its snapshot', totalMs: rounded(totalMs, 0), cpuMs: rounded(cpuOf(ours), 0), sessionMs, taskMs, runMs, restMs: rounded(totalMs - sessionMs - taskMs - runMs, 0) },
      { side: 'stock, from .onnx', totalMs: rounded(msOf(stock), 0), cpuMs: rounded(cpuOf(stock), 0), sessionMs: median(stock.map(({ load }) => Number(/session (\d+)/.exec(load)?.[1]))) },
    ], // biome-ignore format: a table
    ratios: { vsStock: rounded(ratioOf({ ours, stock })), vsStockFresh: rounded(ratioOf(fresh)) },
    values: {
      totalMs: rounded(totalMs, 0),
      stockMs: rounded(msOf(stock), 0),
      cpuVsStock: rounded(cpuOf(ours) / cpuOf(stock)),
      freshMs: rounded(msOf(fresh.ours), 0),
      freshStockMs: rounded(msOf(fresh.stock), 0),
      sessionMs,
      taskMs,
      runMs,
    },
  }
}

function ratioOf({ ours, stock }: Starts): number {
  return median(ours.map(({ ms }, round) => ms / stock[round]!.ms))
}

/** Both ran the same model; the `.ort` file's graph is optimised to another level, so the last bits may differ. */
function requireEqual(ours: readonly number[], stock: readonly number[]): void {
  const cosine = ours.reduce((sum, value, at) => sum + value * stock[at]!, 0)
  if (!(Math.abs(1 - cosine) < 1e-4)) throw new Error(`The sides disagree: their embeddings' cosine is ${cosine}.`)
}
