/**
 * Loading a large model: its bytes pass shard by shard from disk into the wasm heap, and nothing else in the process grows with
 * them. Measured from /proc while it loads: resident memory less that of the wasm heap's own mapping.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { largeModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { loadsOf, scaledToZero } from '../support/snapshots.ts'
import { workerdPid } from '../support/workerd-pid.ts'

/** Each with 150 MB of weights, by their sides: one that comes from its snapshot and one that is loaded. */
const sides = { known: 6_130, fresh: 6_131 }
const mostOutsideMb = 8

describe.skipIf(process.platform !== 'linux')('bringing 150 MB of weights (memory is read from /proc)', () => {
  let server: TestServer
  beforeAll(async () => {
    vi.stubEnv('MINIFLARE_WORKERD_V8_FLAGS', '--no-flush-liftoff-code --no-wasm-tier-up --no-wasm-dynamic-tiering')
    server = await startTestServer({ idleMs: 500, isolateBytes: 1_024 * 2 ** 20 })
    for (const [name, side] of Object.entries(sides)) {
      const imported = await importFiles(server, [{ path: 'model.onnx', bytes: largeModel(side) }], name)
      expect(imported.status, imported.text).toBe(200)
    }
    // Once around, so that what the process keeps for good (the engine's code) is there before anything is measured, and that
    // no snapshot is left to be built meanwhile.
    await createEndpoint(server, 'known', 'known')
    await vi.waitFor(
      async () => {
        await askKnown()
        expect((await loadsOf({ server, name: 'known' })).at(-1)).toBe('from its snapshot')
      },
      // Leaves the builder of snapshots the quiet that it waits for.
      { timeout: 60_000, interval: 2_000 },
    )
  }, 120_000)
  beforeEach(() => scaledToZero({ server, name: 'known' }))
  afterAll(async () => {
    vi.unstubAllEnvs()
    await server.stop()
  })

  it(`raises memory outside the wasm heap by at most ${mostOutsideMb} MiB where they come from a snapshot`, async () => {
    expect(await mostOutside(askKnown)).toBeLessThanOrEqual(mostOutsideMb)
  }, 60_000)

  it(`raises it by at most ${mostOutsideMb} MiB where they are loaded`, async () => {
    const raisedMb = await mostOutside(() => createEndpoint(server, 'fresh', 'fresh'))
    expect(await loadsOf({ server, name: 'fresh' })).toEqual(['there is no snapshot yet'])
    expect(raisedMb).toBeLessThanOrEqual(mostOutsideMb)
  }, 60_000)

  async function askKnown(): Promise<void> {
    const inputs = [Array(sides.known).fill(1)]
    const reply = await server.send('POST', '/serving-endpoints/known/invocations', { inputs })
    expect(reply.json?.predictions.y[0][0], reply.text).toBe(sides.known)
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

/** Resident MiB of the process outside of wasm heaps. */
function outsideMb(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8')
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .map(mappingOf)
  const outside = mappings.filter((mapping, index) => !isWasmHeap(mapping, mappings[index + 1]))
  return outside.reduce((total, { residentKb }) => total + residentKb, 0) / 1_024
}

interface Mapping {
  start: number
  end: number
  access: string
  residentKb: number
}

function mappingOf(text: string): Mapping {
  const [, start = '', end = '', access = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(text) ?? []
  return {
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    access,
    residentKb: Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0),
  }
}

/** V8 reserves 4 GiB for a memory of 32-bit addresses, of which the part that is in use can be written to. */
function isWasmHeap({ start, end, access }: Mapping, next: Mapping | undefined): boolean {
  const isReserved = next?.start === end && next.access === '---p'
  return access === 'rw-p' && isReserved && Math.abs(next.end - start - 2 ** 32) < 2 ** 20
}
