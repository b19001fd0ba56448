/** Thousands of requests to one isolate leave memory as it was; `npm run bench -- endurance` does it with 100,000. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, waitForUpdate } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { serviceLog } from '../support/snapshots.ts'
import { workerdPid } from '../support/workerd-pid.ts'

/** Until compiled code and caches have settled. */
const warmUp = 1_000
const requests = 3_000
const callers = 8
const name = 'scale'
const answer = '{"predictions":{"y":[[3,6]]}}'
/** What waits to be collected takes 30 to 70 MB here; with V8's own limits it takes over 200. */
const mostGrowthMb = 120

describe('one isolate', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(3) }], name)
    await createEndpoint(server, name, name)
    await ask(warmUp)
  }, 60_000)
  afterAll(() => server.stop())

  it(`answers ${requests} requests with the engine heap and, within ${mostGrowthMb} MB, the memory that it had before`, async () => {
    const [heap, startMb] = [await heapOf(server), residentMb()]
    await ask(requests)
    expect(await heapOf(server)).toBe(heap)
    expect((await serviceLog({ server, name })).split(' loaded: ').length - 1).toBe(1)
    expect(residentMb() - startMb).toBeLessThan(mostGrowthMb)
  }, 60_000)

  async function ask(count: number): Promise<void> {
    let left = count
    const caller = async () => {
      while (left-- > 0) {
        const { text } = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: [[1, 2]] })
        expect(text).toBe(answer)
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
  }
})

/** The engine's heap in MiB, which it says while an endpoint comes up, also when it is configured as it was. */
async function heapOf(server: TestServer): Promise<string | undefined> {
  const path = `/api/2.0/serving-endpoints/${name}`
  const entity = { entity_name: name, entity_version: '1', scale_to_zero_enabled: true }
  expect((await server.send('PUT', `${path}/config`, { served_entities: [entity] })).status).toBe(200)
  await waitForUpdate(server, name)
  const { json } = await server.send('GET', `${path}/served-models/${name}-1/build-logs`)
  const heaps = [...String(json.logs).matchAll(/in a heap of ([\d.]+) MiB/g)]
  return heaps.at(-1)?.[1]
}

/** Of the server's process, read from /proc; 0 where there is none. */
function residentMb(): number {
  if (process.platform !== 'linux') return 0
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${workerdPid()}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}
