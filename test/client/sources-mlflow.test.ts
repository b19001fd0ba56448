import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { planImport } from '#src/cli/plan-import.ts'
import { exampleFromMlflow } from '#src/client/sources/mlflow-example.ts'
import { pathSource } from '#src/client/sources/path-source.ts'
import { onnxModel, scaleModel } from '../support/onnx-model.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-mlflow-'))
})
afterEach(() => rm(folder, { recursive: true }))

const tensor = (name: string, dtype: string, shape: number[]) =>
  JSON.stringify([{ type: 'tensor', 'tensor-spec': { dtype, shape }, name }])

/** As MLflow writes it, less what nobody here reads. */
function mlmodel(inputs: string | null, flavor = 'onnx'): string {
  return `artifact_path: model
flavors:
  ${flavor}:
    code: null
    data: model.onnx
    onnx_version: 1.16.0
    providers:
    - CPUExecutionProvider
  python_function:
    loader_module: mlflow.${flavor}
    python_version: 3.10.13
mlflow_version: 2.14.1
model_uuid: 6d1f4f7bd5f54bd29b0f8d9cb0b4f1e0
signature:
  inputs: ${inputs === null ? 'null' : `'${inputs}'`}
  outputs: '[{"type": "object", "properties": {}, "name": "zipmap"}]'
  params: null
utc_time_created: '2024-07-02 12:01:34.112233'
`
}

async function written(files: Readonly<Record<string, string | Uint8Array>>) {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  return pathSource(folder)
}

async function planned(inputs: string | null, files: Record<string, string | Uint8Array> = {}) {
  const source = await written({ MLmodel: mlmodel(inputs), 'model.onnx': scaleModel(2), 'other.onnx': '', ...files })
  return planImport(await source.open())
}

describe('a folder that MLflow wrote', () => {
  it('is imported with the graph that its ONNX flavour names', async () => {
    const { graph, files } = await planned(tensor('x', 'float32', [-1, 2]))
    expect([graph, files.map(({ path }) => path)]).toEqual(['model.onnx', ['model.onnx']])
  })

  it('without the ONNX flavour is refused with the flavours there are', async () => {
    const source = await written({ MLmodel: mlmodel(null, 'sklearn') })
    await expect(source.open()).rejects.toMatchObject({
      code: 'FLAVOR_MISSING',
      message: expect.stringContaining('it has sklearn, python_function'),
    })
  })

  it.each([
    [tensor('x', 'float64', [-1, 2])],
    [tensor('other', 'string', [-1])],
    ['[{"type": "double", "name": "x"}]'],
    [null],
  ])('with the signature %s fits a graph of x float32[rows, 2]', async (inputs) => {
    expect((await planned(inputs)).graph).toBe('model.onnx')
  })

  it.each([
    [tensor('x', 'int64', [-1, 2]), 'MLmodel declares int64[?, 2] and the graph takes float32[rows, 2]'],
    [tensor('x', 'float32', [-1, 3]), 'MLmodel declares float32[?, 3] and the graph takes float32[rows, 2]'],
    [tensor('x', 'float32', [-1]), 'MLmodel declares float32[?] and the graph takes float32[rows, 2]'],
    ['[{"type": "long", "name": "x"}]', 'MLmodel declares int64[rows] and the graph takes float32[rows, 2]'],
  ])('with the signature %s is refused, naming the field', async (inputs, message) => {
    await expect(planned(inputs)).rejects.toThrow(`signature.inputs.x: ${message}.`)
  })

  it('whose weights lie in a file that glim would not find is refused with what to do', async () => {
    const location = '1f0c2b0e-3d1c-11ef-9a64-0242ac120002.data'
    await expect(planned(null, { 'model.onnx': withExternal(location), [location]: 'weights' })).rejects.toThrow(
      `model.onnx keeps weights in "${location}"`,
    )
  })

  it('brings its example as a native body, the serving example first', async () => {
    const table = JSON.stringify({ columns: ['a'], data: [[1]] })
    const example = async (files: Record<string, string>) =>
      (await (await written({ MLmodel: mlmodel(null), 'model.onnx': '', ...files })).open()).inputExample
    expect(await example({ 'input_example.json': table })).toEqual({
      dataframe_split: { columns: ['a'], data: [[1]] },
    })
    expect(await example({ 'serving_input_example.json': '{"inputs": [[1]]}' })).toEqual({ inputs: [[1]] })
  })

  it('that is broken says where', async () => {
    const open = async (text: string) => (await written({ MLmodel: text, 'model.onnx': '' })).open()
    await expect(open('flavors: [unclosed')).rejects.toThrow('MLmodel is not YAML')
    await expect(open('flavors: 3')).rejects.toThrow('MLmodel cannot be understood: flavors')
    await expect(open('flavors: {onnx: {data: ../x.onnx}}')).rejects.toThrow('the folder has no such file')
    await expect(open('flavors: {onnx: {data: model.onnx}}\nsignature: {inputs: "[{"}')).rejects.toThrow(
      'signature.inputs of MLmodel is not JSON',
    )
  })
})

describe('an example of MLflow', () => {
  it.each([
    [[[1, 2]], { inputs: [[1, 2]] }],
    [{ x: [1] }, { inputs: { x: [1] } }],
    [{ inputs: [1] }, { inputs: [1] }],
    [{ columns: ['a'], index: [0], data: [[1]] }, { dataframe_split: { columns: ['a'], index: [0], data: [[1]] } }],
    [{ dataframe_split: { data: [[1]] } }, { dataframe_split: { data: [[1]] } }],
  ])('%j is the body %j', (example, body) => {
    expect(exampleFromMlflow(example)).toEqual(body)
  })
})

/** A graph with one weight in another file, as `save_as_external_data` leaves it. */
function withExternal(location: string): Uint8Array {
  const pair = field(13, Buffer.concat([field(1, Buffer.from('location')), field(2, Buffer.from(location))]))
  const weights = Buffer.concat([field(8, Buffer.from('W')), pair])
  const empty = onnxModel({ nodes: [], inputs: [], outputs: [] })
  return Buffer.concat([empty, field(7, field(5, weights))])
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.byteLength]), bytes])
}
