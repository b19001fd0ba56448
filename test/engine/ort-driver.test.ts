import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, type NumericDtype, newValues, tensorOf } from '#contracts/tensor.ts'
import { createSession } from '#src/engine/ort/create-session.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { assertExports, ortVersion } from '#src/engine/ort/private-exports.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { folderReader, memoryReader } from '../support/shared-models.ts'

const fixtures = fileURLToPath(new URL('../fixtures/onnx/', import.meta.url))
const reader = folderReader(fixtures)
const bytesOf = (name: string) => new Uint8Array(readFileSync(`${fixtures}${name}`))

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

function load(name: string): Promise<OrtSession> {
  return loadGraph(ort, reader, name)
}

/** Where the next block of the heap would lie: the same before and after means that nothing leaked. */
function nextBlock(sizeBytes = 64): number {
  const pointer = ort.malloc(sizeBytes)
  ort.free(pointer)
  return pointer
}

const numericDtypes = [
  'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'bool', 'float16', 'float64', 'uint32', 'uint64',
] as const satisfies readonly NumericDtype[] // biome-ignore format: one line reads better

function identityInputs(shape: readonly number[]): NamedTensors {
  const count = shape.reduce((product, size) => product * size, 1)
  const numeric = numericDtypes.map((dtype) => {
    const values = newValues(dtype, count)
    new Uint8Array(values.buffer).fill(1)
    return [dtype, tensorOf(dtype, shape, values)] as const
  })
  const strings = Array.from({ length: count }, (_, index) => (index % 2 ? 'Zürich 🌍' : ''))
  return Object.fromEntries([...numeric, ['string', { dtype: 'string', shape, strings }] as const])
}

describe('private exports', () => {
  it(`the installed build has every export of ${ortVersion} that the driver calls`, () => {
    expect(() => assertExports(ort.module)).not.toThrow()
  })

  it('a build without some of them is refused with a list', () => {
    const { _OrtRun, _malloc, ...rest } = ort.module
    expect(() => assertExports(rest)).toThrow(/_malloc, _OrtRun/)
    expect(() => assertExports(undefined)).toThrow(/onnxruntime-web 1\.30\.0/)
  })
})

describe('tensors', () => {
  it.each([
    ['a matrix', [2, 3]],
    ['a scalar', []],
    ['no elements', [0, 4]],
  ])('every dtype comes back as it went in: %s', async (_, shape) => {
    const session = await load('identity.onnx')
    const inputs = identityInputs(shape)
    const outputs = session.run(inputs)
    for (const [name, tensor] of Object.entries(inputs)) expect(outputs[`${name}_out`]).toEqual(tensor)
    session.release()
  })

  it('texts keep their byte-order mark, their length and their order', async () => {
    const session = await load('identity.onnx')
    const strings = ['\ufeffa', '', 'x'.repeat(100_000), '末', '']
    const inputs = { ...identityInputs([0]), string: { dtype: 'string', shape: [5], strings } as const }
    expect(session.run(inputs, ['string_out']).string_out).toEqual({ dtype: 'string', shape: [5], strings })
    session.release()
  })

  it('a text with U+0000 is refused, since the graph would see half of it', async () => {
    const session = await load('identity.onnx')
    const inputs = { ...identityInputs([0]), string: { dtype: 'string', shape: [1], strings: ['a\0b'] } as const }
    expect(() => session.run(inputs)).toThrow('string[0]: a text for a graph cannot hold U+0000')
    session.release()
  })

  it('outputs lie in private memory, not in the shared heap', async () => {
    const session = await load('identity.onnx')
    const { float32_out } = session.run(identityInputs([4]), ['float32_out'])
    expect(float32_out).toHaveProperty('bytes')
    if (float32_out && float32_out.dtype !== 'string') expect(float32_out.bytes.buffer).toBeInstanceOf(ArrayBuffer)
    session.release()
  })
})

describe('sessions', () => {
  it('ports show names, dtypes, sizes, symbolic names and ? for unknown sizes', async () => {
    const session = await load('zipmap.onnx')
    expect(session.inputs).toMatchObject([{ name: 'x', dtype: 'float32', shape: ['?', 2] }])
    session.release()
    const external = await load('external.onnx')
    expect(external.outputs).toMatchObject([{ name: 'y', dtype: 'float32', shape: ['rows', 8] }])
    external.release()
  })

  it('weights beside the graph are found', async () => {
    const session = await load('external.onnx')
    const x = tensorOf('float32', [1, 8], Float32Array.of(1, 0, 0, 0, 0, 0, 0, 1))
    const expected = tensorOf(
      'float32',
      [1, 8],
      Float32Array.from({ length: 8 }, (_, index) => 56 + 2 * index),
    )
    expect(session.run({ x })).toEqual({ y: expected })
    expect(session.modelBytes).toBe(bytesOf('external.onnx').byteLength + bytesOf('external.onnx_data').byteLength)
    session.release()
  })

  it('an .ort file is used where it lies, and its block comes back with the session', async () => {
    const x = tensorOf('float32', [1, 8], Float32Array.of(1, 0, 0, 0, 0, 0, 0, 0))
    const expected = tensorOf(
      'float32',
      [1, 8],
      Float32Array.from({ length: 8 }, (_, index) => index),
    )
    const once = async () => {
      const session = await load('linear.ort')
      expect(session.run({ x })).toEqual({ y: expected })
      session.release()
    }
    for (let index = 0; index < 20; index++) await once()
    const before = [ort.heapBytes, nextBlock(100_000)]
    for (let index = 0; index < 100; index++) await once()
    expect([ort.heapBytes, nextBlock(100_000)]).toEqual(before)
  })

  it('memory is grown at once to the size that an earlier load has recorded', async () => {
    const fresh = await bootNodeOrt()
    await loadGraph(fresh, reader, 'linear.ort', { heapBytes: 20_000_000 })
    expect(fresh.heapBytes).toBe(Math.ceil(20_000_000 / 65_536) * 65_536)
  })

  it('without the weights beside it the graph is refused and the missing file named', async () => {
    const alone = memoryReader({ 'external.onnx': bytesOf('external.onnx') })
    await expect(loadGraph(ort, alone, 'external.onnx')).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('external.onnx_data'),
    })
  })

  it('a missing input is named', async () => {
    const session = await load('external.onnx')
    expect(() => session.run({})).toThrow('x: the graph needs this input')
    session.release()
  })

  it("ORT's own words tell of an input with a wrong shape", async () => {
    const session = await load('external.onnx')
    const x = tensorOf('float32', [1, 7], new Float32Array(7))
    expect(() => session.run({ x })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('Expected: 8') }),
    )
    session.release()
  })

  it('a shape that does not fit its bytes is refused', async () => {
    const session = await load('external.onnx')
    const x = { ...tensorOf('float32', [1, 8], new Float32Array(8)), shape: [2, 8] }
    expect(() => session.run({ x })).toThrow('x: shape [2, 8] needs 64 bytes, 32 came')
    session.release()
  })
})

describe('outputs that are no tensors', () => {
  const x = tensorOf('float32', [1, 2], Float32Array.of(1, 2))

  it.each([
    ['sequence-beside-tensor.onnx', 'label', 'probabilities'],
    ['zipmap.onnx', 'output_label', 'output_probability'],
  ])('%s serves its tensor and leaves the other output alone', async (file, tensor, other) => {
    const session = await load(file)
    expect(Object.keys(session.run({ x }))).toEqual([tensor])
    expect(() => session.run({ x }, [other])).toThrow(
      `the graph's output "${other}" is a sequence, a map or an optional`,
    )
    session.release()
  })

  it('a graph with nothing else is refused and the output named', async () => {
    await expect(load('sequence-only.onnx')).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('"probabilities"'),
    })
  })

  it('an input that is no tensor is refused by name', async () => {
    await expect(load('sequence-input.onnx')).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('"list"'),
    })
  })
})

describe('models that cannot be loaded', () => {
  it.each([
    ['garbage', 'bad.onnx', new TextEncoder().encode('not a model at all'), 'INVALID_PROTOBUF'],
    ['an .ort file that is none', 'bad.ort', new Uint8Array(4_096).fill(7), 'bad.ort'],
    ['an empty file', 'empty.onnx', new Uint8Array(0), '"empty.onnx"'],
    ['a truncated file', 'cut.onnx', bytesOf('identity.onnx').slice(0, 300), '"cut.onnx"'],
    ['an unknown operator', 'odd.onnx', bytesOf('unknown-operator.onnx'), 'Frobnicate'],
  ])('%s answers 400 with the message of ORT', async (_, path, bytes, part) => {
    await expect(loadGraph(ort, memoryReader({ [path]: bytes }), path)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining(part),
    })
  })

  it('a file that is not there answers 404', async () => {
    await expect(loadGraph(ort, memoryReader({}), 'model.onnx')).rejects.toMatchObject({ status: 404 })
  })

  it('a stream shorter or longer than announced is data loss', async () => {
    const lying = (sizeBytes: number) => ({
      ...reader,
      sizeOf: async (path: string) => (path.endsWith('.onnx') ? sizeBytes : null),
    })
    await expect(loadGraph(ort, lying(1_000_000), 'identity.onnx')).rejects.toMatchObject({ code: 'DATA_LOSS' })
    await expect(loadGraph(ort, lying(10), 'identity.onnx')).rejects.toMatchObject({ code: 'DATA_LOSS' })
  })

  it('failing again and again takes nothing from the heap', async () => {
    const garbage = memoryReader({ 'bad.onnx': bytesOf('unknown-operator.onnx') })
    const fail = () => loadGraph(ort, garbage, 'bad.onnx').catch(() => undefined)
    for (let attempt = 0; attempt < 20; attempt++) await fail()
    const before = { heapBytes: ort.heapBytes, block: nextBlock(100_000) }
    for (let attempt = 0; attempt < 200; attempt++) await fail()
    expect({ heapBytes: ort.heapBytes, block: nextBlock(100_000) }).toEqual(before)
  })
})

describe('the heap', () => {
  it('10,000 runs, some of them failing, leave it as it was', async () => {
    const session = await load('identity.onnx')
    const good = identityInputs([3])
    const bad = { ...good, string: { dtype: 'string', shape: [1], strings: ['\0'] } as const }
    const once = (index: number) => {
      if (index % 10 !== 0) return session.run(good)
      return expect(() => session.run(bad)).toThrow()
    }
    for (let index = 0; index < 100; index++) once(index)
    const before = [ort.heapBytes, nextBlock(), nextBlock(100_000)]
    for (let index = 0; index < 10_000; index++) once(index)
    expect([ort.heapBytes, nextBlock(), nextBlock(100_000)]).toEqual(before)
    session.release()
  })

  it('loading and releasing a graph 200 times leaves it as it was', async () => {
    for (let index = 0; index < 20; index++) (await load('external.onnx')).release()
    const before = [ort.heapBytes, nextBlock()]
    for (let index = 0; index < 200; index++) (await load('external.onnx')).release()
    expect([ort.heapBytes, nextBlock()]).toEqual(before)
  })

  it('grows to exactly the wanted size, and views follow', () => {
    const wanted = ort.heapBytes + 3 * 65_536
    ort.growTo(wanted - 1)
    expect(ort.heapBytes).toBe(wanted)
    ort.growTo(1)
    expect(ort.heapBytes).toBe(wanted)
    expect(ort.view(wanted - 4, 4).byteLength).toBe(4)
  })

  it('says how much was wanted when there is no room', async () => {
    const small = await bootNodeOrt()
    expect(() => small.malloc(2 ** 32 - 1)).toThrow(/4294967295 more bytes/)
  })

  it('a block that the session does not keep is given back', async () => {
    const bytes = bytesOf('identity.onnx')
    const pointer = ort.malloc(bytes.byteLength)
    ort.view(pointer, bytes.byteLength).set(bytes)
    const session = createSession(ort, { pointer, sizeBytes: bytes.byteLength })
    expect(session.outputs).toHaveLength(13)
    session.release()
  })
})
