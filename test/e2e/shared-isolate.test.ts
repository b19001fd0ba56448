/** What many requests to one isolate do to each other: one that stops the engine fails alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countingLoop } from '../support/hostile-models.ts'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { serviceLog } from '../support/snapshots.ts'

const name = 'loop'
const endless = 2 ** 62

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ runMs: 1_000 })
  const imported = await importFiles(server, [{ path: 'model.onnx', bytes: countingLoop() }], name)
  expect(imported.status, imported.text).toBe(200)
  await createEndpoint(server, name, name)
})
afterAll(() => server?.stop())

function count(steps: number) {
  const inputs = [{ name: 'trip', datatype: 'INT64', shape: [], data: [BigInt(steps).toString()] }]
  return server.send('POST', `/v2/models/${name}/infer`, { inputs })
}

describe('a request that stops the engine', () => {
  it('fails alone: those that wait beside it are answered by the next isolate', async () => {
    const trips = [3, endless, ...Array.from({ length: 20 }, (_, index) => index)]
    const replies = await Promise.all(trips.map(count))
    const [first, hostile, ...others] = replies
    expect(first!.json.outputs[0].data, first!.text).toEqual([4])
    expect(hostile!.status).toBe(400)
    expect(hostile!.json.error).toContain('it took longer than 1 s')
    expect(others.map(({ json, text }) => json.outputs?.[0].data ?? text)).toEqual(
      Array.from({ length: 20 }, (_, index) => [index + 1]),
    )
  })

  it('leaves a line in the service log', async () => {
    const log = await serviceLog({ server, name })
    expect(log).toContain('doused: replaced: The inference engine stopped during a run: it took longer than 1 s')
  })
})
