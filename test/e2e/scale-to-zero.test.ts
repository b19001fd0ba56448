/** Requests that come while an endpoint goes to rest: each is answered, by the old isolate or by the next. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, waitForUpdate } from '../support/import-folder.ts'
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

describe('an endpoint that is kept warm', () => {
  const configOf = (keepsWarm: boolean) => ({
    served_entities: [{ entity_name: 'scale', entity_version: '1', scale_to_zero_enabled: !keepsWarm }],
  })
  const stateOf = async (on: TestServer) => (await on.send('GET', '/api/2.0/serving-endpoints/kept')).json.state_summary

  it('stays warm from the update on that says so, and goes when another says so', async () => {
    await createEndpoint(server, 'kept', 'scale')
    await server.send('PUT', '/api/2.0/serving-endpoints/kept/config', configOf(true))
    await waitForUpdate(server, 'kept')
    await new Promise((resolve) => setTimeout(resolve, 4 * idleMs))
    expect(await stateOf(server)).toMatch(/^Ready on config version 2 \(scale-1: warm, /)
    await server.send('PUT', '/api/2.0/serving-endpoints/kept/config', configOf(false))
    await waitForUpdate(server, 'kept')
    await expect.poll(() => stateOf(server), { timeout: 5_000 }).toContain('Scaled to zero')
  })

  it('is warm again after a restart, before anybody asks for it', async () => {
    const home = await mkdtemp(join(tmpdir(), 'glim-kept-'))
    const first = await startTestServer({ home, idleMs })
    await importFiles(first, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'scale')
    await first.send('POST', '/api/2.0/serving-endpoints', { name: 'kept', config: configOf(true) })
    await waitForUpdate(first, 'kept')
    await first.stop()
    const second = await startTestServer({ home, idleMs })
    await expect
      .poll(() => stateOf(second), { timeout: 10_000 })
      .toMatch(/^Ready on config version 1 \(scale-1: warm, /)
    await second.stop()
    await rm(home, { recursive: true })
  })
})

describe('the invocation log', () => {
  it('has a row for every request that reached an endpoint, also for those that could not be read', async () => {
    const name = 'counted'
    await createEndpoint(server, name, 'scale')
    await server.send('POST', `/serving-endpoints/${name}/invocations`, '{', {
      headers: { 'content-type': 'application/json' },
    })
    await server.send('POST', `/serving-endpoints/${name}/invocations`, 'x', {
      headers: { 'content-type': 'text/plain' },
    })
    await server.send('POST', `/v2/models/${name}/infer`, '[', { headers: { 'content-type': 'application/json' } })
    const metrics = async () => (await server.send('GET', `/api/2.0/serving-endpoints/${name}/metrics`)).text
    await expect.poll(metrics, { timeout: 5_000 }).toMatch(/request_4xx_count_total\{[^}]*\} 3/)
  })
})
