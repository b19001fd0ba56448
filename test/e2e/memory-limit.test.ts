/** The memory of an isolate is bounded although workerd bounds nothing: what does not fit is refused with numbers, and all else goes on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { largeModel, onnxModel } from '../support/onnx-model.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { loadsOf } from '../support/snapshots.ts'

/** 16 MiB of weights. */
const largeSide = 2_048
const isolateBytes = 48 * 2 ** 20
const wide = 4_096

/** `y = x · W` with one column of x: a few bytes in, 16 KiB per row out. */
function widening(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] }, { operator: 'ReduceMax', inputs: ['y'], outputs: ['most'], attributes: { keepdims: 1 } }], // biome-ignore format: one line reads better
    inputs: [{ name: 'x', dtype: 'float32', shape: ['rows', 1] }],
    outputs: [{ name: 'most', dtype: 'float32', shape: [1, 1] }],
    weights: [
      {
        name: 'W',
        dtype: 'float32',
        shape: [1, wide],
        bytes: new Uint8Array(new Float32Array(wide).fill(1).buffer),
      },
    ],
  })
}

describe('an isolate of 48 MiB', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer({ isolateBytes })
  })
  afterAll(() => server.stop())

  it('refuses a model that cannot fit, before it reads it, with what it needs and what there is', async () => {
    const { status, json } = await importFiles(server, [{ path: 'model.onnx', bytes: largeModel(largeSide) }], 'large')
    expect(status).toBe(400)
    expect(json.message).toMatch(
      /^The model "model\.onnx" needs at least 55\.0 MiB \(weights 16\.0 MiB\); its isolate may use 48\.0 MiB\. .*GLIM_ISOLATE_MB/,
    )
  })

  it('refuses a request that would grow it beyond that, and answers the next', async () => {
    expect((await importFiles(server, [{ path: 'model.onnx', bytes: widening() }], 'wide')).status).toBe(200)
    await createEndpoint(server, 'wide', 'wide')
    const most = (rows: number) =>
      server.send('POST', '/serving-endpoints/wide/invocations', { inputs: Array(rows).fill([1]) })
    const fits = await most(3)
    expect(fits.json, fits.text).toEqual({ predictions: { most: [[1]] } })
    for (let round = 0; round < 3; round++) {
      const refused = await most(10_000)
      expect(refused.status).toBe(400)
      expect(refused.json.message).toMatch(
        /^This request needs an engine heap of at least \d+\.\d MiB; its isolate may use 48\.0 MiB/,
      )
      expect((await most(3)).text).toBe(fits.text)
    }
    // Whatever the refusal left behind, the isolate is within its limit.
    expect((await most(1_000)).text).toBe(fits.text)
    expect(await loadsOf({ server, name: 'wide' })).toEqual(['too small for a snapshot'])
  })
})

describe('an isolate of 128 MiB', () => {
  it('takes what does not fit into 48', async () => {
    const server = await startTestServer()
    try {
      const { status, text } = await importFiles(
        server,
        [{ path: 'model.onnx', bytes: largeModel(largeSide) }],
        'large',
      )
      expect(status, text).toBe(200)
    } finally {
      await server.stop()
    }
  })
})
