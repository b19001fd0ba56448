/** Requests that come while an endpoint goes to rest: each is answered, by the old isolate or by the next. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const idleMs = 150
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ idleMs })
  await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'scale')
  await createEndpoint(server, 'scale', 'scale')
})
afterAll(() => server.stop())

const query = () => server.send('POST', '/serving-endpoints/scale/invocations', { inputs: [[1, 2]] })
const loads = async () => {
  const { logs } = (await server.send('GET', '/api/2.0/serving-endpoints/scale/served-models/scale-1/logs')).json
  return { loaded: logs.split('loaded: ').length - 1, doused: logs.split('doused: idle').length - 1 }
}

describe('an endpoint that is doused again and again', () => {
  it('answers every request around the moment in which it goes', async () => {
    for (let round = 0; round < 20; round++) {
      const replies = await Promise.all(Array.from({ length: 1 + (round % 4) }, query))
      for (const { text } of replies) expect(text).toBe('{"predictions":{"y":[[2,4]]}}')
      // Shorter and longer than the idle time, in small steps.
      await new Promise((resolve) => setTimeout(resolve, idleMs - 10 + round))
    }
    const { loaded, doused } = await loads()
    expect(doused).toBeGreaterThan(3)
    expect(loaded).toBeGreaterThan(3)
    expect(server.lines).toEqual([])
  })

  it('loads once for many first requests at the same moment', async () => {
    await expect
      .poll(async () => (await server.send('GET', '/api/2.0/serving-endpoints/scale')).text, { timeout: 5_000 })
      .toContain('Scaled to zero')
    const before = (await loads()).loaded
    const replies = await Promise.all(Array.from({ length: 100 }, query))
    expect(replies.map(({ status }) => status)).toEqual(new Array(100).fill(200))
    expect((await loads()).loaded).toBe(before + 1)
  })
})
