import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { graphBuilder, microsoft } from '#src/compiler/onnx/graph-builder.ts'
import { readModel } from '#src/compiler/onnx/read-model.ts'
import { joined, WireWriter } from '#src/compiler/onnx/wire.ts'
import { modelBytes } from '#src/compiler/onnx/write-model.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { expectEqual } from '../support/expect-equal.ts'
import { sampleInputs } from '../support/graph-inputs.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { haveSharedModels, memoryReader, sharedBytes, withoutSharedModels } from '../support/shared-models.ts'

const fixture = (name: string) =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`../fixtures/onnx/${name}`, import.meta.url))))

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

async function outputsOf(bytes: Uint8Array, inputs: NamedTensors) {
  const session = await loadGraph(ort, memoryReader({ 'model.onnx': bytes }), 'model.onnx')
  try {
    return session.run(inputs)
  } finally {
    session.release()
  }
}

const graphs = Object.keys(sampleInputs).map((model) => [model, 'onnx/model.onnx'] as const)

describe.skipIf(!haveSharedModels)(`real models ${haveSharedModels ? '' : withoutSharedModels}`, () => {
  it.each([...graphs, ['silero-vad', 'onnx/model_fp16.onnx'], ['stories260k', 'onnx/model_quantized.onnx']] as const)(
    '%s %s read and written back answers with the same bits',
    async (model, file) => {
      const bytes = sharedBytes(model, file)
      const written = modelBytes(readModel(bytes))
      expectEqual(readModel(written), readModel(bytes))
      const inputs = sampleInputs[model]!()
      expectEqual(await outputsOf(written, inputs), await outputsOf(bytes, inputs))
    },
  )

  it('weights are views of the file', () => {
    const bytes = sharedBytes('stories260k', 'onnx/model.onnx')
    const { initializers } = readModel(bytes).graph
    const large = initializers.filter((tensor) => tensor.bytes.byteLength > 1_000)
    expect(large.length).toBeGreaterThan(10)
    expect(large.every((tensor) => tensor.bytes.buffer === bytes.buffer)).toBe(true)
  })
})

describe('a file', () => {
  it.each(['identity.onnx', 'zipmap.onnx'])('%s survives two passes unchanged', (name) => {
    const once = modelBytes(readModel(fixture(name)))
    expect(modelBytes(readModel(once))).toEqual(once)
  })

  it('takes its weights from the files beside it, and names them where they are not at hand', () => {
    const bytes = fixture('external.onnx')
    const alone = readModel(bytes).graph.initializers[0]!
    expect(alone).toMatchObject({ bytes: new Uint8Array(), external: { location: 'external.onnx_data' } })
    const external = new Map([['external.onnx_data', fixture('external.onnx_data')]])
    const whole = readModel(bytes, { external }).graph.initializers[0]!
    expect(whole.external).toBeUndefined()
    expect(whole.bytes.byteLength).toBe(256)
    const short = new Map([['external.onnx_data', new Uint8Array(10)]])
    expect(() => readModel(bytes, { external: short })).toThrow(/lie at 0 to 256 of external.onnx_data, which has 10/)
  })

  it('keeps fields that nobody here knows', () => {
    const node = new WireWriter().text(1, 'x').text(2, 'y').text(4, 'Identity').text(6, 'why').text(99, 'later')
    const graph = new WireWriter().message(1, node).text(2, 'g').text(77, 'new')
    const bytes = joined(new WireWriter().integer(1, 8).message(7, graph).integer(1234, 5n))
    const model = readModel(bytes)
    expect(model.graph.nodes[0]!.rest).toHaveLength(2)
    expect(readModel(modelBytes(model))).toEqual(model)
    expect(new TextDecoder().decode(modelBytes(model))).toMatch(/why.*later.*new/s)
  })
})

describe('hostile bytes', () => {
  const graphOf = (graph: WireWriter) => joined(new WireWriter().integer(1, 8).message(7, graph))
  const tensor = (fields: WireWriter) => graphOf(new WireWriter().message(5, fields))
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['nothing', new Uint8Array(), /holds no graph/],
    ['text', new TextEncoder().encode('<html>not found</html>'), /not a usable ONNX model/],
    ['a length beyond the end', Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f), /ends after its message/],
    ['an endless number', new Uint8Array(40).fill(0xff), /more than seven bytes/],
    ['a group', Uint8Array.of(0x3b), /wire type 3/],
    ['two graphs', joined(new WireWriter().message(7, new WireWriter()).message(7, new WireWriter())), /two graphs/],
    ['a name that is no text', graphOf(new WireWriter().bytes(2, Uint8Array.of(0xff))), /name is not valid UTF-8/],
    [
      'weights that are too short',
      tensor(new WireWriter().integers(1, [1_000_000]).integer(2, 1).text(8, 'w').bytes(9, new Uint8Array(4))),
      /"w" of shape \[1000000\] has 4 bytes instead of 4000000/,
    ],
    ['a negative size', tensor(new WireWriter().integers(1, [-1]).integer(2, 1)), /shape \[-1\]/],
    ['a huge size', tensor(new WireWriter().integers(1, [2n ** 60n]).integer(2, 1)), /beyond 2\^53/],
    ['external data of nowhere', tensor(new WireWriter().integer(2, 1).integer(14, 1).text(8, 'w')), /no location/],
    [
      'an unknown wire type in a node',
      graphOf(new WireWriter().message(1, new WireWriter().integer(1, 3))),
      /wire type 0/,
    ],
  ]
  it.each(cases)('%s are refused with the reason', (_, bytes, reason) => {
    expect(() => readModel(bytes)).toThrow(reason)
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ status: 400 }))
  })

  it('graphs within graphs are bounded', () => {
    let graph = new WireWriter().text(2, 'inner')
    for (let depth = 0; depth < 100; depth++) {
      const body = new WireWriter().text(1, 'body').message(6, graph).integer(20, 5)
      graph = new WireWriter().message(1, new WireWriter().text(4, 'If').message(5, body))
    }
    expect(() => readModel(graphOf(graph))).toThrow(/nested deeper than 16/)
  })

  it('a small file cannot make many objects', () => {
    const nodes = new Uint8Array(2_000_000)
    for (let at = 0; at < nodes.byteLength; at += 2) nodes[at] = 0x0a
    expect(() => readModel(graphOf(new WireWriter().raw(nodes)))).toThrow(/more than 500000/)
  })

  it('a cut file is refused wherever it is cut', () => {
    const whole = fixture('identity.onnx')
    for (let length = 0; length < whole.byteLength; length += 7) {
      const problem = (() => {
        try {
          return readModel(whole.subarray(0, length)).graph.nodes.length
        } catch (error) {
          return (error as { status?: number }).status
        }
      })()
      expect([400, problem]).toContain(problem)
    }
  })
})

describe('a graph that is built', () => {
  it('runs, with constants stored once and operators of both domains', async () => {
    const graph = graphBuilder()
    const x = graph.input('x', 'float32', ['rows', 2])
    const doubled = graph.add('Mul', [x, graph.floats(2)])
    const again = graph.add('Mul', [doubled, graph.floats(2)])
    graph.add('FastGelu', [again], { outputs: ['y'], domain: microsoft })
    graph.output('y', 'float32', ['rows', 2])
    expect(graph.graph.initializers).toHaveLength(1)
    const { y } = await outputsOf(graph.bytes(), { x: tensorOf('float32', [1, 2], Float32Array.of(0, 25)) })
    expect(y).toEqual(tensorOf('float32', [1, 2], Float32Array.of(0, 100)))
  })

  it('refuses constants that do not fill their shape', () => {
    const values = new Float32Array(3)
    expect(() => graphBuilder().constant('w', { dtype: 'float32', shape: [2, 2], values })).toThrow(
      '"w" has 12 bytes instead of 16',
    )
  })

  it('never makes a name twice', () => {
    const graph = graphBuilder()
    const x = graph.input('abs', 'float32', [1])
    expect([graph.add('Abs', [x]), graph.add('Abs', [x])]).toEqual(['abs_1', 'abs_2'])
  })
})
