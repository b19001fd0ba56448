/**
 * What one warm isolate adds to the memory of workerd, and the largest weights that serve within the default limit.
 *
 * `isolateMb`: resident memory with the MiniLM-shaped q8 encoder warm, less the same with an isolate mounted that holds no model;
 * in turns in one server, after the engine's code has been compiled once, since that is shared by all isolates. Linux only.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { buildWorkers } from '#src/cli/build-workers.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { bundledEndpoint } from '../support/bundle-endpoint.ts'
import { encoderModel, encoderShape } from '../support/encoder-model.ts'
import { type ModelFile, textOf } from '../support/seeded-weights.ts'
import { type BenchServer, inOrtForm, startBenchServer } from '../support/served-encoder.ts'

const rounds = 5
const idleMs = 2_500
/** Of layers in the encoder's shape; each has 1.8 MB of int8 weights, the vocabulary 11.7. */
const layerCounts = [46, 44, 42, 40, 38, 36, 28, 20, 12]
const text = textOf(14, 1, encoderShape.vocabulary)

export async function memory(): Promise<BenchmarkResult> {
  const workers = await buildWorkers()
  workers.host.modules['endpoint-tensor.js.txt'] = {
    type: 'text',
    contents: await bundledEndpoint('memory/empty-endpoint.ts'),
  }
  const files = await inOrtForm(encoderModel({ weights: 'q8row' }))
  const server = await startBenchServer({ idleMs, workers })
  try {
    const { pid } = server
    await server.serve('encoder', files, { task: 'feature-extraction' })
    const empty = [{ path: 'model.onnx', bytes: new TextEncoder().encode('no model') }]
    await server.serve('empty', empty, { task: 'tensor' })
    while (!(await load(server, 'encoder')).includes('from its snapshot')) await wait(1_200)

    const differences: number[] = []
    const rows: Record<string, string | number>[] = []
    for (let round = 0; round < rounds; round++) {
      await server.untilCold('encoder')
      await invoke(server, 'empty', [1])
      const emptyMb = await settledMb(pid)
      await server.untilCold('empty')
      const line = await load(server, 'encoder')
      const warmMb = await settledMb(pid)
      differences.push(warmMb - emptyMb)
      rows.push({ what: `round ${round + 1}`, emptyMb: rounded(emptyMb, 0), warmMb: rounded(warmMb, 0), load: line }) // biome-ignore format: a table
    }
    const largest = await largestServed(server)
    rows.push({ what: 'largest', load: largest.load })
    return {
      rows,
      ratios: {},
      values: { isolateMb: rounded(median(differences), 1), largestWeightsMb: rounded(largest.weightsMb, 1) },
    }
  } finally {
    await server.stop()
  }
}

/** A query that finds the isolate cold; resolves to what the log says of the load. */
async function load(server: BenchServer, name: string): Promise<string> {
  await server.untilCold(name)
  await invoke(server, name)
  return server.lastLoad(name)
}

function invoke(server: BenchServer, name: string, inputs: unknown[] = [text]): Promise<unknown> {
  return server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs })
}

/** Largest first; what does not fit is refused when it is imported. */
async function largestServed(server: BenchServer): Promise<{ weightsMb: number; load: string }> {
  for (const layers of layerCounts) {
    const files = await inOrtForm(encoderModel({ weights: 'q8row', layers }))
    const name = `encoder-${layers}`
    try {
      await server.serve(name, files, { task: 'feature-extraction' })
      const line = await load(server, name)
      return { weightsMb: graphBytes(files) / 1e6, load: line }
    } catch (error) {
      console.error(`${layers} layers: ${error instanceof Error ? error.message : error}`)
    }
  }
  throw new Error('Not even the smallest model was served.')
}

function graphBytes(files: readonly ModelFile[]): number {
  return files.find(({ path }) => path.endsWith('.ort'))!.bytes.byteLength
}

/** Resident MB once it has not changed by more than 1 for a while, well within the idle time: memory of what was doused comes back late. */
async function settledMb(pid: number): Promise<number> {
  let [last, calm] = [residentMb(pid), 0]
  for (let look = 0; look < 15 && calm < 4; look++) {
    await wait(100)
    const now = residentMb(pid)
    calm = Math.abs(now - last) < 1 ? calm + 1 : 0
    last = now
  }
  return last
}

function residentMb(pid: number): number {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kb) / 1_024
}
