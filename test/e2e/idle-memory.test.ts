/**
 * An idle endpoint costs nothing: what its isolate took comes back, while somebody looks at its state all the time.
 *
 * The engine's compiler is held to its baseline tier here, because the optimising tier takes and returns a hundred MB at times
 * of its own choosing, which says nothing about endpoints.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { largeModel } from '../support/onnx-model.ts'
import { type Reply, startTestServer, type TestServer } from '../support/server.ts'
import { workerdPid } from '../support/workerd-pid.ts'

/** 24 MB of weights; a heap from its snapshot holds them once, and what is only reserved takes no memory. */
const side = 2_450
const leastTakenMb = 24
const mostKeptMb = 20
const idleMs = 1_000

let server: TestServer
let workerd: number

describe.skipIf(process.platform !== 'linux')('an idle endpoint (memory is read from /proc)', () => {
  beforeAll(async () => {
    vi.stubEnv('MINIFLARE_WORKERD_V8_FLAGS', '--no-flush-liftoff-code --no-wasm-tier-up --no-wasm-dynamic-tiering')
    server = await startTestServer({ idleMs })
    workerd = workerdPid()
    await importFiles(server, [{ path: 'model.onnx', bytes: largeModel(side) }], 'large')
    await createEndpoint(server, 'large', 'large')
    // Once around, so that what the process keeps for good (the engine's code) is there before anything is measured.
    await query()
    await scaledToZero()
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await server.stop()
  })

  it('gives its memory back, says so, and answers the next call', async () => {
    const taken: number[] = []
    const kept: number[] = []
    for (let round = 0; round < 3; round++) {
      const before = residentMb()
      expect((await query()).json.predictions.y[0][0]).toBe(side)
      taken.push(residentMb() - before)
      const idle = await scaledToZero()
      expect(idle.state).toEqual({ ready: 'READY', config_update: 'NOT_UPDATING' })
      await vi.waitFor(() => expect(residentMb() - before).toBeLessThan(mostKeptMb), { timeout: 20_000, interval: 250 })
      kept.push(residentMb() - before)
    }
    expect(Math.max(...taken)).toBeGreaterThan(leastTakenMb)
    console.info(`taken ${taken.map(Math.round)} MB, kept ${kept.map(Math.round)} MB`)
  })
})

function query(): Promise<Reply> {
  return server.send('POST', '/serving-endpoints/large/invocations', { inputs: [Array(side).fill(1)] })
}

/** Resolves to the endpoint once it says that it is cold; asking does not keep it warm. */
function scaledToZero() {
  return vi.waitFor(
    async () => {
      const { json } = await server.send('GET', '/api/2.0/serving-endpoints/large')
      expect(json.config.served_entities[0].state).toEqual({
        deployment: 'DEPLOYMENT_READY',
        deployment_state_message: 'Scaled to zero',
      })
      expect(json.state_summary).toContain('Scaled to zero')
      return json
    },
    { timeout: 20_000, interval: 100 },
  )
}

function residentMb(): number {
  const [, kb] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${workerd}/status`, 'utf8'))!
  return Number(kb) / 1_024
}
