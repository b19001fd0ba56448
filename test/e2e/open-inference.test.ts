/** The Open Inference Protocol against a real server: every dtype through a copying graph, whatever its tensors are called. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { embedderFiles, identityModel, scaleModel } from '../support/onnx-model.ts'
import { type Reply, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

interface Sent {
  name: string
  shape: number[]
  datatype: string
  data: unknown
}

let server: TestServer
const infer = (name: string, inputs: Sent[], more: object = {}): Promise<Reply> =>
  server.send('POST', `/v2/models/${name}/infer`, { inputs, ...more })

async function serve(name: string, bytes: Uint8Array): Promise<void> {
  const imported = await importFiles(server, [{ path: 'model.onnx', bytes }], name)
  expect(imported.text).toContain('"signature"')
  await createEndpoint(server, name, name)
}

beforeAll(async () => {
  server = await startTestServer()
  await serve('scale', scaleModel(2))
})
afterAll(() => server.stop())

describe('the protocol', () => {
  it('tells server, health and readiness', async () => {
    expect((await server.send('GET', '/v2')).json).toMatchObject({ name: 'glim', version: expect.any(String) })
    expect((await server.send('GET', '/v2/health/live')).json).toEqual({ live: true })
    expect((await server.send('GET', '/v2/health/ready')).json).toEqual({ ready: true })
    expect((await server.send('GET', '/v2/models/scale/ready')).json).toEqual({ name: 'scale', ready: true })
    expect((await server.send('GET', '/v2/models/nobody/ready')).json).toEqual({
      error: expect.stringContaining('does not exist'),
    })
  })

  it('describes a model by its tensors', async () => {
    const metadata = {
      name: 'scale',
      versions: ['1'],
      platform: 'onnx_onnxruntime',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    }
    expect((await server.send('GET', '/v2/models/scale')).json).toEqual(metadata)
    expect((await server.send('GET', '/v2/models/scale/versions/1')).json).toEqual(metadata)
    expect(await server.send('GET', '/v2/models/scale/versions/7')).toMatchObject({
      status: 404,
      json: { error: expect.stringContaining('no version 7') },
    })
  })

  it.each([
    ['flat', [1, 2, 3, 4]],
    [
      'nested',
      [
        [1, 2],
        [3, 4],
      ],
    ],
  ])('takes %s data and answers flat, under the id of the request', async (_form, data) => {
    const reply = await infer('scale', [{ name: 'x', shape: [2, 2], datatype: 'FP32', data }], { id: 'mine' })
    expect(reply.json).toEqual({
      model_name: 'scale',
      model_version: '1',
      id: 'mine',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], data: [2, 4, 6, 8] }],
    })
  })

  it('answers the outputs that were asked for', async () => {
    const ports = ['a', 'b', 'c'].map((name) => ({ name, dtype: 'int32', shape: ['n'] }) as const)
    await serve('three', identityModel(ports))
    const inputs = ports.map(({ name }, at) => ({ name, shape: [1], datatype: 'INT32', data: [at] }))
    const reply = await infer('three', inputs, { outputs: [{ name: 'c_out' }, { name: 'a_out' }] })
    expect(reply.json.outputs.map((output: Sent) => [output.name, output.data])).toEqual([
      ['c_out', [2]],
      ['a_out', [0]],
    ])
    expect(await infer('three', inputs, { outputs: [{ name: 'd' }] })).toMatchObject({
      status: 400,
      json: { error: expect.stringContaining('no output "d"') },
    })
  })

  it('serves tasks too: a text column is BYTES, an embedding FP32', async () => {
    await importFiles(server, embedderFiles(), 'words')
    await createEndpoint(server, 'words', 'words')
    expect((await server.send('GET', '/v2/models/words')).json).toMatchObject({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
    })
    const reply = await infer('words', [{ name: 'text', shape: [2], datatype: 'BYTES', data: ['cat', 'dog'] }], {
      parameters: { dimensions: 2 },
    })
    expect(reply.json.outputs).toMatchObject([{ name: 'embedding', datatype: 'FP32', shape: [2, 2] }])
  })

  it('asks to come back while an endpoint comes up, and answers 404 where nothing is to come', async () => {
    await server.send('POST', '/api/2.0/serving-endpoints', { name: 'empty' })
    expect(await server.send('GET', '/v2/models/empty/ready')).toMatchObject({ json: { ready: false } })
    expect((await infer('empty', [])).status).toBe(404)
  })
})

const cases = [
  ['float32', 'FP32', [1.5, -0.25, 'NaN', 'Infinity', '-Infinity', 0]],
  ['float64', 'FP64', [0.1, 1e300, 'NaN', 'Infinity', '-Infinity', 5e-324]],
  ['float16', 'FP16', [0.5, -2, 65504, 'NaN', 'Infinity', '-Infinity']],
  ['uint8', 'UINT8', [0, 255]],
  ['int8', 'INT8', [-128, 127]],
  ['uint16', 'UINT16', [0, 65_535]],
  ['int16', 'INT16', [-32_768, 32_767]],
  ['int32', 'INT32', [-2_147_483_648, 2_147_483_647]],
  ['uint32', 'UINT32', [0, 4_294_967_295]],
  ['int64', 'INT64', [-1, 9_007_199_254_740_991, '9007199254740993', '-9223372036854775808', '9223372036854775807']],
  ['uint64', 'UINT64', [0, 9_007_199_254_740_991, '18446744073709551615']],
  ['bool', 'BOOL', [true, false]],
  ['string', 'BYTES', ['', 'plain', 'Grüße, 世界 🌍', '{"json": "inside"}', 'NaN']],
] as const

describe('every dtype', () => {
  beforeAll(() => serve('every', identityModel(cases.map(([dtype]) => ({ name: dtype, dtype, shape: ['n'] })))))

  const inputs = (name: string, data: readonly unknown[]) =>
    cases.map(([dtype, datatype, values]) => {
      const sent = dtype === name ? data : values
      return { name: dtype, shape: [sent.length], datatype, data: [...sent] }
    })

  it('comes back as it was sent, with nothing rounded', async () => {
    const reply = await infer('every', inputs('', []))
    expect(reply.text).not.toContain('"error"')
    for (const [dtype, datatype, values] of cases) {
      expect(reply.json.outputs).toContainEqual({
        name: `${dtype}_out`,
        datatype,
        shape: [values.length],
        data: [...values],
      })
    }
  })

  it('comes back the same through the native dialect', async () => {
    const body = { inputs: Object.fromEntries(cases.map(([dtype, , values]) => [dtype, values])) }
    const reply = await server.send('POST', '/serving-endpoints/every/invocations', body)
    expect(reply.json.predictions).toEqual(
      Object.fromEntries(cases.map(([dtype, , values]) => [`${dtype}_out`, values])),
    )
  })

  it.each([
    ['uint8', [256], 'outside'],
    ['int8', [-129], 'outside'],
    ['int32', [1.5], 'expected an integer'],
    ['uint32', [-1], 'outside'],
    ['int64', [2 ** 53], 'send it as a string'],
    ['int64', ['9223372036854775808'], 'outside'],
    ['uint64', ['-1'], 'outside'],
    ['int64', ['12a'], 'expected an integer'],
    ['float32', [1e39], 'outside'],
    ['float16', [65_520], 'outside'],
    ['float32', ['1'], 'expected a number'],
    ['float32', [null], 'expected a number'],
    ['bool', [2], 'expected true or false'],
    ['string', [1], 'expected a string'],
    ['string', ['a\0b'], 'U+0000'],
  ])('refuses for %s the value %j', async (dtype, data, fragment) => {
    const reply = await infer('every', inputs(dtype, data))
    expect(reply).toMatchObject({ status: 400, json: { error: expect.stringContaining(fragment) } })
    expect(Object.keys(reply.json)).toEqual(['error'])
  })

  it.each([
    ['a wrong datatype', { datatype: 'FP64' }, 'expected FP32'],
    ['a wrong element count', { shape: [3] }, 'takes 3 values'],
    ['a wrong rank', { shape: [1, 2], data: [1, 2] }, 'expected float32 of shape [n]'],
    ['a negative size', { shape: [-1] }, 'shape'],
    ['a size beyond everything', { shape: [1e15] }, 'takes'],
    ['data that is no list', { data: 'AAAA' }, 'expected a list'],
    ['an unknown name', { name: 'other' }, 'unexpected input "other"'],
    ['a name twice', { name: 'float64', datatype: 'FP64' }, 'came twice'],
  ])('refuses %s', async (_what, change, fragment) => {
    const [first, ...others] = inputs('float32', [1, 2])
    const reply = await infer('every', [{ ...first!, ...change } as Sent, ...others])
    expect(reply).toMatchObject({ status: 400, json: { error: expect.stringContaining(fragment) } })
  })
})

describe('tensor names', () => {
  const odd = [
    'a:0',
    'x/y',
    'with space',
    'ünï世界',
    '"quoted"\\',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ]

  it.each([
    ['together', odd],
    ['__proto__ alone', ['__proto__']],
  ])('may hold any characters: %s', async (_title, names) => {
    const endpoint = `odd-${names.length}`
    await serve(
      endpoint,
      identityModel(
        names.map((name) => ({ name, dtype: 'float32', shape: ['n'] })),
        (name) => `${name}/out`,
      ),
    )
    const metadata = await server.send('GET', `/v2/models/${endpoint}`)
    expect(metadata.json.inputs.map((input: Sent) => input.name)).toEqual(names)
    const reply = await infer(
      endpoint,
      names.map((name, at) => ({ name, shape: [1], datatype: 'FP32', data: [at] })),
    )
    expect(reply.json.outputs.map((output: Sent) => [output.name, output.data])).toEqual(
      names.map((name, at) => [`${name}/out`, [at]]),
    )

    const columns = `{${names.map((name, at) => `${JSON.stringify(name)}:[${at}]`).join()}}`
    const native = await server.send('POST', `/serving-endpoints/${endpoint}/invocations`, `{"inputs":${columns}}`, {
      headers: { 'content-type': 'application/json' },
    })
    expect(native.status).toBe(200)
    expect(Object.entries(native.json.predictions)).toEqual(names.map((name, at) => [`${name}/out`, [at]]))
    const records = await server.send(
      'POST',
      `/serving-endpoints/${endpoint}/invocations`,
      `{"dataframe_split":{"columns":${JSON.stringify(names)},"data":[${JSON.stringify(names.map((_, at) => at))}]}}`,
      { headers: { 'content-type': 'application/json' } },
    )
    expect(Object.entries(records.json.predictions)).toEqual(names.map((name, at) => [`${name}/out`, [at]]))
  })
})

describe.skipIf(!haveSharedModels)(`a real graph (${withoutSharedModels})`, () => {
  it('answers under the names of its tensors', async () => {
    await importFolder(server, sharedModelPath('mnist-cntk', ''), 'digits', { task: 'tensor' })
    await createEndpoint(server, 'digits', 'digits')
    const { inputs, outputs } = (await server.send('GET', '/v2/models/digits')).json
    const [input] = inputs
    const shape = input.shape.map((size: number) => Math.max(size, 1))
    const data = new Array(shape.reduce((product: number, size: number) => product * size, 1)).fill(0)
    const reply = await infer('digits', [{ name: input.name, shape, datatype: input.datatype, data }])
    expect(reply.json.outputs.map((output: Sent) => output.name)).toEqual(outputs.map((output: Sent) => output.name))
    expect(reply.json.outputs[0].data).toHaveLength(10)
  })
})
