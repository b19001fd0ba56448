/**
 * What verification costs: a verified streaming read from the warm disk tier against SHA-256 of the same bytes in memory and
 * against reading the same bytes from the same disk with the fastest plain stream. All sides run in turns in one isolate under
 * `workerd serve`. A workerd has one thread, on which both reading and checking run, so that neither can hide behind the other.
 *
 * What a process reads again is checked by its seal, what it reads for the first time by SHA-256: `firstReadVsSha256`.
 */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { answering, freePort, startWorkerd } from '../support/workerd-process.ts'

const rounds = 41
const warmUpRounds = 4
const names = ['sha256', 'plain', 'hashed', 'verified'] as const
type Side = (typeof names)[number]

export async function modelCache(): Promise<BenchmarkResult> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
  })
  const port = await freePort()
  const workerd = startWorkerd(configOf(port), { 'worker.js': outputFiles[0]!.contents })
  const origin = `http://127.0.0.1:${port}`
  try {
    await answering(origin)
    const fileBytes = await ask(`${origin}/prepare`)
    const times: Record<Side, number[]> = { sha256: [], plain: [], hashed: [], verified: [] }
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      for (const side of round % 2 === 0 ? names : [...names].reverse()) {
        const startedMs = performance.now()
        const bytes = await ask(`${origin}/${side}`)
        if (bytes !== fileBytes) throw new Error(`${side} read ${bytes} of ${fileBytes} bytes`)
        if (round >= warmUpRounds) times[side].push(performance.now() - startedMs)
      }
    }
    return resultOf(times, fileBytes)
  } finally {
    workerd.stop()
  }
}

async function ask(url: string): Promise<number> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as number
}

function resultOf(times: Readonly<Record<Side, number[]>>, fileBytes: number): BenchmarkResult {
  const speedOf = (side: Side) => fileBytes / 2 ** 20 / (median(times[side]) / 1_000)
  const ratioTo = (side: Side, own: Side = 'verified') =>
    median(times[own].map((ms, round) => times[side][round]! / ms))
  return {
    rows: names.map((side) => ({ side, 'MiB/s': rounded(speedOf(side), 0), ms: rounded(median(times[side]), 1) })),
    ratios: {
      verifiedVsSha256: rounded(ratioTo('sha256')),
      verifiedVsPlain: rounded(ratioTo('plain')),
      firstReadVsSha256: rounded(ratioTo('sha256', 'hashed')),
    },
    values: {
      verifiedMibPerSecond: rounded(speedOf('verified'), 0),
      sha256MibPerSecond: rounded(speedOf('sha256'), 0),
      plainMibPerSecond: rounded(speedOf('plain'), 0),
    },
  }
}

function configOf(port: number): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "2026-11-01", bindings = [(name = "DISK", service = "disk")])),
    (name = "disk", disk = (path = ".", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);`
}
