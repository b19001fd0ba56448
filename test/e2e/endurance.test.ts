/** Thousands of requests to one isolate leave its engine's heap as it was; `npm run bench -- endurance` does it with 100,000. */
import { describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, waitForUpdate } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { serviceLog } from '../support/snapshots.ts'

const requests = 5_000
const callers = 8
const name = 'scale'

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

describe('one isolate', () => {
  it(`answers ${requests} requests with the heap that it had after the first`, async () => {
    const server = await startTestServer()
    try {
      await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(3) }], name)
      await createEndpoint(server, name, name)
      const ask = () => server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: [[1, 2]] })
      const { text } = await ask()
      expect(text).toBe('{"predictions":{"y":[[3,6]]}}')
      const before = await heapOf(server)

      let left = requests
      const caller = async () => {
        while (left-- > 0) expect((await ask()).text).toBe(text)
      }
      await Promise.all(Array.from({ length: callers }, caller))

      expect(await heapOf(server)).toBe(before)
      expect((await serviceLog({ server, name })).split(' loaded: ').length - 1).toBe(1)
    } finally {
      await server.stop()
    }
  }, 60_000)
})
