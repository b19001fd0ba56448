/**
 * Loading a large model: its bytes pass shard by shard from disk into the wasm heap, and nothing else in the process grows with
 * them. Measured from /proc while it loads: resident memory less that of the wasm heap's own mapping.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { largeModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { loadsOf, scaledToZero } from '../support/snapshots.ts'
import { workerdPid } from '../support/workerd-pid.ts'

/** By the sides of their weights: two of 150 MB and two to warm up; those that are known come from their snapshots. */
const sides = { small: 1_000, tiny: 10, known: 6_130, fresh: 6_131 }
const mostOutsideMb = 8
/** Leaves the builder of snapshots the quiet that it waits for. */
const quietMs = 1_600

describe.skipIf(process.platform !== 'linux')('bringing 150 MB of weights (memory is read from /proc)', () => {
  let server: TestServer
  let home: string
  beforeAll(async () => {
    vi.stubEnv('MINIFLARE_WORKERD_V8_FLAGS', '--no-flush-liftoff-code --no-wasm-tier-up --no-wasm-dynamic-tiering')
    home = await mkdtemp(join(tmpdir(), 'glim-test-'))
    server = await start()
    for (const [name, side] of Object.entries(sides)) {
      const imported = await importFiles(server, [{ path: 'model.onnx', bytes: largeModel(side) }], name)
      expect(imported.status, imported.text).toBe(200)
    }
    for (const name of ['small', 'known'] as const) {
      await createEndpoint(server, name, name)
      await vi.waitFor(() => startsFromSnapshot(name), { timeout: 60_000, interval: quietMs })
    }
    await createEndpoint(server, 'tiny', 'tiny')
  }, 120_000)
  afterAll(async () => {
    vi.unstubAllEnvs()
    await server.stop()
    await rm(home, { recursive: true, force: true })
  })

  it(`raises memory outside the wasm heap by at most ${mostOutsideMb} MiB where they come from a snapshot`, async () => {
    // What is collected meanwhile, and when, differs by a few MiB from process to process; what a start needs does not.
    let raisedMb = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 3 && raisedMb > mostOutsideMb; attempt++) {
      await restart()
      await warmUp()
      raisedMb = await mostOutside(() => ask('known'))
      expect((await loadsOf({ server, name: 'known' })).at(-1)).toBe('from its snapshot')
    }
    expect(raisedMb).toBeLessThanOrEqual(mostOutsideMb)
  }, 60_000)

  it(`raises it by at most ${mostOutsideMb} MiB where they are loaded`, async () => {
    await warmUp()
    const raisedMb = await mostOutside(() => createEndpoint(server, 'fresh', 'fresh'))
    expect(await loadsOf({ server, name: 'fresh' })).toEqual(['there is no snapshot yet'])
    expect(raisedMb).toBeLessThanOrEqual(mostOutsideMb)
  }, 60_000)

  function start(): Promise<TestServer> {
    return startTestServer({ home, idleMs: 500, isolateBytes: 1_024 * 2 ** 20 })
  }

  /** A process that has imported or loaded keeps freed pages, in which a load would hide. */
  async function restart(): Promise<void> {
    await server.stop()
    server = await start()
  }

  /** Both ways of bringing a model have been gone, and nothing is left of it but what a process keeps for good. */
  async function warmUp(): Promise<void> {
    await ask('tiny')
    await ask('small')
    for (const name of ['small', 'tiny', 'known']) await scaledToZero({ server, name })
  }

  async function startsFromSnapshot(name: keyof typeof sides): Promise<void> {
    await scaledToZero({ server, name })
    await ask(name)
    expect((await loadsOf({ server, name })).at(-1)).toBe('from its snapshot')
  }

  async function ask(name: keyof typeof sides): Promise<void> {
    const inputs = [Array(sides[name]).fill(1)]
    const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs })
    expect(reply.json?.predictions.y[0][0], reply.text).toBe(sides[name])
  }
})

/** The most by which a piece of work raises memory outside the wasm heap. */
async function mostOutside(work: () => Promise<unknown>): Promise<number> {
  const pid = workerdPid()
  const before = outsideMb(pid)
  let most = before
  const sampler = setInterval(() => {
    most = Math.max(most, outsideMb(pid))
  }, 20)
  await work()
  clearInterval(sampler)
  console.info(`outside the wasm heap at most: ${(most - before).toFixed(1)} MiB`)
  return most - before
}

/** Resident MiB that the process wrote itself, outside of wasm heaps: not the pages of its own code. */
function outsideMb(pid: number): number {
  const mappings = mappingsOf(readFileSync(`/proc/${pid}/smaps`, 'utf8'))
  const outside = mappings.filter((mapping, index) => !isWasmHeap(mapping, mappings[index + 1]))
  return outside.reduce((total, { residentKb }) => total + residentKb, 0) / 1_024
}

interface Mapping {
  start: number
  end: number
  access: string
  residentKb: number
}

/** By their starts: the kernel tells of them page by page, and of one that grew in between twice. */
function mappingsOf(smaps: string): Mapping[] {
  const found = smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map(mappingOf)
  return [...new Map(found.map((mapping) => [mapping.start, mapping])).values()]
}

function mappingOf(text: string): Mapping {
  const [, start = '', end = '', access = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(text) ?? []
  return {
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    access,
    residentKb: Number(/^Anonymous:\s+(\d+)/m.exec(text)?.[1] ?? 0),
  }
}

/** V8 reserves 4 GiB for a memory of 32-bit addresses, of which the part that is in use can be written to. */
function isWasmHeap({ start, access }: Mapping, rest: Mapping | undefined): boolean {
  return access === 'rw-p' && rest?.access === '---p' && Math.abs(rest.end - start - 2 ** 32) < 2 ** 20
}
