/**
 * What the dispatcher costs: CPU per JSON request with key check, ACL, routing, validation and an invocation-log row, against
 * a bare worker that parses the body and passes it on. Both under `workerd serve`, in turns, 16 connections, the same stand-in
 * behind them.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { buildWorkers } from '#src/cli/build-workers.ts'
import { type BenchmarkResult, median, rounded } from '../support/benchmark.ts'
import { cpuMs } from '../support/cpu-time.ts'
import { type LoadResult, runLoad } from '../support/load.ts'
import { answering, freePort, startWorkerd } from '../support/workerd-process.ts'

/** Many short rounds: a neighbour on the machine then meets both sides of most pairs. */
const rounds = 45
const roundMs = 700
const warmUpRounds = 9
const concurrency = 16
const token = 'bench-token'
const body = JSON.stringify({ inputs: { x: [[1, 2, 3, 4]] } })

interface Side {
  name: string
  url: string
  pid: number
  headers: Record<string, string>
  rounds: (LoadResult & { cpuMs: number })[]
}

export async function dispatch(): Promise<BenchmarkResult> {
  const [standInPort, glimPort, barePort] = [await freePort(), await freePort(), await freePort()]
  const standIn = spawn(
    process.execPath,
    [fileURLToPath(new URL('host-stand-in.ts', import.meta.url)), String(standInPort)],
    { stdio: 'inherit' },
  )
  const { dispatcher } = await buildWorkers()
  const glim = startWorkerd(glimConfig(glimPort, standInPort), {
    'dispatcher.js': dispatcher.modules['dispatcher.js']!.contents,
  })
  const bare = startWorkerd(bareConfig(barePort, standInPort), { 'bare.js': bareWorker })
  try {
    await answering(`http://127.0.0.1:${standInPort}/state`)
    await answering(`http://127.0.0.1:${glimPort}/health`)
    await answering(`http://127.0.0.1:${barePort}/`)
    await createEndpoint(`http://127.0.0.1:${glimPort}`)

    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` }
    const sides: Side[] = [
      {
        name: 'glim dispatcher',
        url: `http://127.0.0.1:${glimPort}/serving-endpoints/trivial/invocations`,
        pid: glim.pid,
        headers,
        rounds: [],
      },
      { name: 'bare proxy worker', url: `http://127.0.0.1:${barePort}/bare`, pid: bare.pid, headers, rounds: [] },
    ]
    // Both reach their steady state first: the optimising compiler takes some thousand requests.
    for (let round = 0; round < warmUpRounds; round++) for (const side of sides) await measure(side)
    for (const side of sides) side.rounds = []
    for (let round = 0; round < rounds; round++) {
      for (const side of round % 2 === 0 ? sides : [...sides].reverse()) await measure(side)
    }
    return resultOf(sides as [Side, Side])
  } finally {
    for (const running of [glim, bare]) running.stop()
    standIn.kill()
  }
}

async function measure(side: Side): Promise<void> {
  const before = cpuMs(side.pid)
  const result = await runLoad({ url: side.url, body, headers: side.headers, concurrency, durationMs: roundMs })
  if (result.failures > 0) throw new Error(`${side.name}: ${result.failures} of ${result.requests} requests failed`)
  side.rounds.push({ ...result, cpuMs: (cpuMs(side.pid) - before) / result.requests })
}

function resultOf([glim, bare]: [Side, Side]): BenchmarkResult {
  const sumOf = (side: Side, of: (round: Side['rounds'][number]) => number) =>
    side.rounds.reduce((sum, round) => sum + of(round), 0)
  // Of all rounds together: a median would leave out the rounds in which a full garbage collection falls.
  const cpuOf = (side: Side) =>
    sumOf(side, (round) => round.cpuMs * round.requests) / sumOf(side, (round) => round.requests)
  const rpsOf = (side: Side) => median(side.rounds.map((round) => (round.requests / round.durationMs) * 1_000))
  return {
    rows: [glim, bare].map((side) => ({
      side: side.name,
      'cpu ms/request': rounded(cpuOf(side)),
      'requests/s': rounded(rpsOf(side), 0),
      'p50 ms': rounded(median(side.rounds.map((round) => round.p50Ms)), 2),
      'p99 ms': rounded(median(side.rounds.map((round) => round.p99Ms)), 2),
    })),
    ratios: {
      cpuVsBareProxy: rounded(cpuOf(glim) / cpuOf(bare)),
      medianVsBareProxy: rounded(median(glim.rounds.map((round, index) => round.cpuMs / bare.rounds[index]!.cpuMs))),
    },
    values: {
      cpuMsPerRequest: rounded(cpuOf(glim)),
      bareCpuMsPerRequest: rounded(cpuOf(bare)),
      rps: rounded(rpsOf(glim), 0),
    },
  }
}

/** The stand-in accepts any manifest and describes a model with one matrix in and one out. */
async function createEndpoint(origin: string): Promise<void> {
  const shard = { digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 4 }
  const artifact = { path: 'model.onnx', sizeBytes: 4, digest: shard.digest, shards: [shard] }
  await post(`${origin}/api/2.0/glim/models/import`, {
    name: 'trivial',
    manifest: { version: 1, artifacts: [artifact] },
  })
  await post(`${origin}/api/2.0/serving-endpoints`, {
    name: 'trivial',
    config: { served_entities: [{ entity_name: 'trivial', entity_version: '1' }] },
  })
  for (;;) {
    const reply = await fetch(`${origin}/api/2.0/serving-endpoints/trivial`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (((await reply.json()) as { state: { ready: string } }).state.ready === 'READY') return
  }
}

async function post(url: string, value: unknown): Promise<void> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(value),
  })
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`)
}

const bareWorker = `export default {
  async fetch(request, env) {
    if (request.method !== 'POST') return new Response('ok');
    const body = JSON.parse(await request.text());
    if (typeof body.inputs !== 'object') return Response.json({ error: 'invalid request' }, { status: 400 });
    const upstream = await env.UPSTREAM.fetch('http://upstream/bare', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    return new Response(upstream.body, upstream);
  },
};`

function bareConfig(port: number, upstreamPort: number): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "bare.js", esModule = embed "bare.js")], compatibilityDate = "2026-11-01",
      bindings = [(name = "UPSTREAM", service = "upstream")])),
    (name = "upstream", external = (address = "127.0.0.1:${upstreamPort}", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);`
}

function glimConfig(port: number, hostPort: number): string {
  const hash = createHash('sha256').update(token).digest('hex')
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (modules = [(name = "dispatcher.js", esModule = embed "dispatcher.js")],
      compatibilityDate = "2026-11-01", compatibilityFlags = ["enable_request_signal", "request_signal_passthrough"],
      durableObjectNamespaces = [
        (className = "RegistryObject", uniqueKey = "registry", enableSql = true),
        (className = "InvocationLogObject", uniqueKey = "invocation-log", enableSql = true),
      ],
      durableObjectStorage = (localDisk = "disk"),
      bindings = [
        (name = "HOST", service = "host"),
        (name = "REGISTRY", durableObjectNamespace = "RegistryObject"),
        (name = "INVOCATION_LOG", durableObjectNamespace = "InvocationLogObject"),
        (name = "ADMIN_TOKEN_HASH", text = "${hash}"),
        (name = "ALLOWED_HOSTS", text = "loopback"),
        (name = "IDLE_MS", json = "300000"),
        (name = "EXPECT_STARTERS", json = "false"),
      ])),
    (name = "host", external = (address = "127.0.0.1:${hostPort}", http = ())),
    (name = "disk", disk = (path = ".", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);`
}
