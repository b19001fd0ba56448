/**
 * `npm run bench -- NAME`: runs one benchmark, prints a table and, as the last line, one JSON object, which is also appended to
 * `bench/results/NAME.jsonl`. Ratios compare two sides measured in turns within this one run.
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Benchmark } from './support/benchmark.ts'

const benchmarks: Readonly<Record<string, () => Promise<Benchmark>>> = {
  'model-cache': async () => (await import('./model-cache/model-cache.ts')).modelCache,
  'cold-start': async () => (await import('./cold-start/cold-start.ts')).coldStart,
  memory: async () => (await import('./memory/memory.ts')).memory,
  embeddings: async () => (await import('./embeddings/embeddings.ts')).embeddings,
  decode: async () => (await import('./decode/decode.ts')).decode,
  endurance: async () => (await import('./endurance/endurance.ts')).endurance,
  stream: async () => (await import('./stream/stream.ts')).stream,
  dispatch: async () => (await import('./dispatch/dispatch.ts')).dispatch,
}

const name = process.argv[2] ?? ''
const load = benchmarks[name]
if (!load) {
  console.error(`usage: npm run bench -- NAME, where NAME is one of ${Object.keys(benchmarks).join(', ')}`)
  process.exit(2)
}

const loadBefore = loadavg()[0]!
const { rows, ratios, values } = await (await load())()
console.table(rows)
const machine = `${cpus()[0]?.model.trim()} × ${cpus().length}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
const result = JSON.stringify({ bench: name, machine, load: Number(loadBefore.toFixed(2)), ratios, values })
const folder = fileURLToPath(new URL('results/', import.meta.url))
mkdirSync(folder, { recursive: true })
appendFileSync(`${folder}${name}.jsonl`, `${result}\n`)
console.log(result)
