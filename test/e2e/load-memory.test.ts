/**
 * Loading a large model: its bytes pass shard by shard from disk into the wasm heap, and nothing else in the process grows with
 * them. Measured from /proc while it loads: resident memory less that of the wasm heap's own mapping.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { largeModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { workerdPid } from '../support/workerd-pid.ts'

const smallSide = 16
/** 150 MB of weights. */
const largeSide = 6_130
const mostOutsideMb = 8

describe.skipIf(process.platform !== 'linux')('loading 150 MB of weights (memory is read from /proc)', () => {
  let server: TestServer
  beforeAll(async () => {
    vi.stubEnv('MINIFLARE_WORKERD_V8_FLAGS', '--no-flush-liftoff-code --no-wasm-tier-up --no-wasm-dynamic-tiering')
    server = await startTestServer({ idleMs: 500, isolateBytes: 1_024 * 2 ** 20 })
    for (const [name, side] of [
      ['small', smallSide],
      ['large', largeSide],
    ] as const) {
      const imported = await importFiles(server, [{ path: 'model.onnx', bytes: largeModel(side) }], name)
      expect(imported.status, imported.text).toBe(200)
      await createEndpoint(server, name, name)
    }
  }, 120_000)
  afterAll(async () => {
    vi.unstubAllEnvs()
    await server.stop()
  })

  it(`raises memory outside the wasm heap by at most ${mostOutsideMb} MiB`, async () => {
    // Once around, so that what the process keeps for good (the engine's code) is there before anything is measured.
    const small = await loadMb('small', smallSide)
    const large = await loadMb('large', largeSide)
    console.info(
      `outside the wasm heap at most: ${small.toFixed(1)} MiB for a few bytes, ${large.toFixed(1)} MiB for 150 MB`,
    )
    expect(large).toBeLessThanOrEqual(mostOutsideMb)
  }, 120_000)

  /** The most by which a cold start raises memory outside the wasm heap. */
  async function loadMb(name: string, side: number): Promise<number> {
    await vi.waitFor(
      async () => {
        const { text } = await server.send('GET', `/api/2.0/serving-endpoints/${name}`)
        expect(text).toContain('Scaled to zero')
      },
      { timeout: 20_000, interval: 100 },
    )
    const pid = workerdPid()
    const before = outsideMb(pid)
    let most = before
    const sampler = setInterval(() => {
      most = Math.max(most, outsideMb(pid))
    }, 20)
    const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: [Array(side).fill(1)] })
    clearInterval(sampler)
    expect(reply.json?.predictions.y[0][0], reply.text).toBe(side)
    return most - before
  }
})

/** Resident MiB of the process outside of its largest anonymous mappings, which are wasm heaps: they reserve gigabytes. */
function outsideMb(pid: number): number {
  let outsideKb = 0
  let isHeap = false
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (mapping) isHeap = Number.parseInt(mapping[2]!, 16) - Number.parseInt(mapping[1]!, 16) > 16 * 2 ** 20
    const resident = /^Rss:\s+(\d+)/.exec(line)
    if (resident && !isHeap) outsideKb += Number(resident[1])
  }
  return outsideKb / 1_024
}
