/** Models that ask for absurd amounts of time or memory fail by themselves: with a clear 4xx, and everybody else is served on. */
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  constantlyLarge,
  countingLoop,
  nestedBranches,
  sizedGraph,
  sizedGraphs,
  slowKernel,
} from '../support/hostile-models.ts'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const runMs = 1_000

async function importGraph(server: TestServer, name: string, bytes: Uint8Array) {
  return importFiles(server, [{ path: 'model.onnx', bytes }], name)
}

async function serve(server: TestServer, name: string, bytes: Uint8Array): Promise<void> {
  const imported = await importGraph(server, name, bytes)
  expect(imported.status, imported.text).toBe(200)
  await createEndpoint(server, name, name)
}

function infer(server: TestServer, model: string, integers: Record<string, readonly (number | string)[]>, shape?: []) {
  const inputs = Object.entries(integers).map(([name, data]) => ({
    name,
    datatype: 'INT64',
    shape: shape ?? [data.length],
    data,
  }))
  return server.send('POST', `/v2/models/${model}/infer`, { inputs })
}

async function expectOthersServed(server: TestServer): Promise<void> {
  const reply = await server.send('POST', '/serving-endpoints/good/invocations', { inputs: [[1, 2]] })
  expect(reply.text).toBe('{"predictions":{"y":[[3,6]]}}')
}

describe('a graph that asks for absurd amounts', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ runMs })
    await serve(server, 'good', scaleModel(3))
  })
  afterAll(() => server?.stop())

  it('with a loop that never ends is refused at import, once its time is over', async () => {
    const { status, json } = await importGraph(server, 'endless', countingLoop(2n ** 62n))
    expect(status).toBe(400)
    expect(json.message).toContain('it took longer than 1 s, the most that the graph may work at a stretch')
    await expectOthersServed(server)
  })

  it('with a loop as long as the request says is stopped, and answers the next request', async () => {
    await serve(server, 'loop', countingLoop())
    const loop = (trip: number | string) => infer(server, 'loop', { trip: [trip] }, [])
    const fine = await loop(1_000)
    expect(fine.json.outputs[0].data, fine.text).toEqual([1_001])
    for (const trip of ['4611686018427387904', 2_000_000_000]) {
      const { status, json } = await loop(trip)
      expect(status).toBe(400)
      expect(json.error).toContain('it took longer than 1 s')
      await expectOthersServed(server)
      expect((await loop(1_000)).json.outputs).toEqual(fine.json.outputs)
    }
  })

  it('of memory by itself is refused at import', async () => {
    const { status, json } = await importGraph(server, 'large', constantlyLarge())
    expect(status).toBe(400)
    expect(json.message).toMatch(/needs an engine heap of at least \d+\.\d MiB; its isolate may use 128\.0 MiB/)
    await expectOthersServed(server)
  })

  it.each(Object.keys(sizedGraphs) as (keyof typeof sizedGraphs)[])(
    'of memory by a size in the request refuses that, and answers the next request: %s',
    async (kind) => {
      await serve(server, kind, sizedGraph(kind))
      const fine = await infer(server, kind, { size: [4, 4] })
      expect(fine.status, fine.text).toBe(200)
      const absurd = [[100_000, 10_000], [40_000, 40_000], ['4611686018427387904', 4], [-1, 4]] // biome-ignore format: one line reads better
      for (const size of absurd) {
        const { status, json, text } = await infer(server, kind, { size })
        expect({ status, text }).toEqual({ status: 400, text })
        expect(json.error).toMatch(/\S/)
      }
      expect((await infer(server, kind, { size: [4, 4] })).json.outputs).toEqual(fine.json.outputs)
      await expectOthersServed(server)
    },
  )

  it('of depth is refused at import', async () => {
    for (const depth of [60, 400]) {
      const { status, json } = await importGraph(server, `deep-${depth}`, nestedBranches(depth))
      expect(status).toBe(400)
      expect(json.message).toMatch(/^The graph "model\.onnx" cannot be loaded\./)
    }
    await expectOthersServed(server)
  })
})

describe('a kernel that works for hours', () => {
  it('is ended with workerd, which starts again and serves the others', async () => {
    // A port of its own: workerd comes back where it was.
    const server = await startTestServer({ runMs, hungMs: 2_000, port: await freePort() })
    try {
      await serve(server, 'good', scaleModel(3))
      await serve(server, 'slow', slowKernel())
      const fine = await infer(server, 'slow', { length: [1, 1, 64], width: [1, 1, 8] })
      expect(fine.json.outputs[0].data, fine.text).toEqual([8])
      const hours = infer(server, 'slow', { length: [1, 1, 5_000_000], width: [1, 1, 2_500_000] })
      await expect(hours).rejects.toThrow('fetch failed')
      await vi.waitFor(() => expectOthersServed(server), { timeout: 20_000, interval: 100 })
      expect(server.lines.join('\n')).toContain('nothing was answered for 2 s')
      expect((await infer(server, 'slow', { length: [1, 1, 64], width: [1, 1, 8] })).json.outputs).toEqual(
        fine.json.outputs,
      )
    } finally {
      await server.stop()
    }
  }, 60_000)
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
