/** Heap snapshots in Node: what is restored answers with the same bits as what was loaded, and anything that does not fit is refused. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { bootOrt } from '#src/engine/ort/boot.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { ortVersion } from '#src/engine/ort/private-exports.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import { type RestoreOptions, restoreSnapshot, type SnapshotUnusable, takeSnapshot } from '#src/engine/ort/snapshot.ts'
import { expectEqual } from '../support/expect-equal.ts'
import { numbers, sampleInputs } from '../support/graph-inputs.ts'
import { bootNodeOrt, ortWasm } from '../support/node-ort.ts'
import { largeModel } from '../support/onnx-model.ts'
import { folderReader, haveSharedModels, memoryReader, sharedModelPath, sharedReader, withoutSharedModels } from '../support/shared-models.ts' // biome-ignore format: one line reads better

const identity = 'the model and its options'
const fixtures = folderReader(fileURLToPath(new URL('../fixtures/onnx/', import.meta.url)))
const files = ['onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx', 'onnx/model.ort']
const sharedGraphs = Object.keys(sampleInputs).flatMap((model) =>
  files.filter((file) => existsSync(sharedModelPath(model, file))).map((file) => [model, file] as const),
)

/** What every instance has in its memory before a restore. */
let started: Ort
beforeAll(async () => {
  started = await bootOrt(factory, await ortWasm(), { init: false })
})

async function snapshotOf(reader: ArtifactReader, graph: string): Promise<Uint8Array<ArrayBuffer>> {
  const session = await loadGraph(await bootNodeOrt(), reader, graph)
  const snapshot = takeSnapshot(session, { identity, started })
  const bytes = new Uint8Array(snapshot.sizeBytes)
  let at = 0
  for (const chunk of snapshot.chunks()) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  expect(at).toBe(snapshot.sizeBytes)
  return bytes
}

async function restore(bytes: Uint8Array<ArrayBuffer>, options: Partial<RestoreOptions> = {}): Promise<OrtSession> {
  return restoreSnapshot(factory, await ortWasm(), new Blob([bytes]).stream(), { identity, ...options })
}

/** The header read, changed and written back. */
function withHeader(bytes: Uint8Array<ArrayBuffer>, change: Record<string, unknown>): Uint8Array<ArrayBuffer> {
  const size = new DataView(bytes.buffer).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)))
  const json = new TextEncoder().encode(JSON.stringify({ ...header, ...change }))
  const changed = new Uint8Array(4 + json.byteLength + bytes.byteLength - 4 - size)
  new DataView(changed.buffer).setUint32(0, json.byteLength, true)
  changed.set(json, 4)
  changed.set(bytes.subarray(4 + size), 4 + json.byteLength)
  return changed
}

const linearInputs: NamedTensors = { x: numbers('float32', [1, 8], [1, 2, 3, 4, 5, 6, 7, 8]) }
/** Of what JavaScript knows beside the heap; free memory is elsewhere. */
const portsOf = ({ inputs, outputs, modelBytes }: OrtSession) => ({ inputs, outputs, modelBytes })

describe('a restored session', () => {
  it.each(['external.onnx', 'linear.ort'])('of %s is the loaded one, again and again', async (graph) => {
    const fresh = await loadGraph(await bootNodeOrt(), fixtures, graph)
    const bytes = await snapshotOf(fixtures, graph)
    const restored = await restore(bytes)
    expect(portsOf(restored)).toEqual(portsOf(fresh))
    const expected = fresh.run(linearInputs)
    for (let round = 0; round < 3; round++) expect(restored.run(linearInputs)).toEqual(expected)
    // One snapshot serves any number of instances, whatever the others have done meanwhile.
    expect((await restore(bytes)).run(linearInputs)).toEqual(expected)
  })

  it('keeps what its graph cannot serve, by name', async () => {
    const restored = await restore(await snapshotOf(fixtures, 'zipmap.onnx'))
    const fresh = await loadGraph(await bootNodeOrt(), fixtures, 'zipmap.onnx')
    expect([...restored.state.ports.unusable]).toEqual([...fresh.state.ports.unusable])
    expect(restored.state.ports.unusable.size).toBeGreaterThan(0)
  })

  it('reports a broken run and gives its memory back, as any other', async () => {
    const restored = await restore(await snapshotOf(fixtures, 'linear.ort'))
    expect(() => restored.run({ x: numbers('float32', [1, 3], [1, 2, 3]) })).toThrow(/dimension|shape/i)
    restored.release()
    const { ort } = restored
    const again = await loadGraph(ort, fixtures, 'linear.ort')
    expect(Object.keys(again.run(linearInputs))).toEqual(['y'])
  })

  it('is found equal twice: the same load makes the same snapshot', async () => {
    const [one, two] = await Promise.all([snapshotOf(fixtures, 'linear.ort'), snapshotOf(fixtures, 'linear.ort')])
    expect(Buffer.from(one).equals(two)).toBe(true)
  })
})

describe.skipIf(!haveSharedModels)(`a restored session of a shared model (${withoutSharedModels})`, () => {
  let ort: Ort
  beforeAll(async () => {
    ort = await bootNodeOrt()
  })

  it.each(sharedGraphs)('%s/%s gives the bits of a loaded one', async (model, file) => {
    const fresh = await loadGraph(ort, sharedReader(model), file)
    const sample = sampleInputs[model]!()
    const inputs: NamedTensors = Object.fromEntries(
      fresh.inputs.map(({ name, dtype }) => {
        const tensor = sample[name] as NumericTensor
        const isSame = dtype === tensor.dtype || dtype === 'string'
        return [name, isSame ? tensor : numbers(dtype, tensor.shape, Array.from(valuesOf(tensor), Number))]
      }),
    )
    const restored = await restore(await snapshotOf(sharedReader(model), file))
    expectEqual(restored.run(inputs), fresh.run(inputs))
    fresh.release()
  })
})

describe('a snapshot', () => {
  let bytes: Uint8Array<ArrayBuffer>
  beforeAll(async () => {
    bytes = await snapshotOf(fixtures, 'linear.ort')
  })
  const refusal = (changed: Uint8Array<ArrayBuffer>, options?: Partial<RestoreOptions>): Promise<SnapshotUnusable> =>
    restore(changed, options).then(
      () => expect.unreachable('it was restored'),
      (error: SnapshotUnusable) => error,
    )

  it('of another session is not used', async () => {
    const { name, message } = await refusal(bytes, { identity: 'another' })
    expect([name, message]).toEqual(['SnapshotUnusable', `it is of ${identity}, not of another`])
  })

  it('of another format, engine or build is not used', async () => {
    expect((await refusal(withHeader(bytes, { format: 0 }))).message).toContain('its format is 0')
    expect((await refusal(withHeader(bytes, { ort: '1.0.0' }))).message).toContain(`1.0.0, this is ${ortVersion}`)
    expect((await refusal(withHeader(bytes, { stack: 4 }))).message).toContain('stack pointer')
  })

  it('that needs more memory than there may be is not used', async () => {
    const { message } = await refusal(bytes, { heapLimitBytes: 1_000_000 })
    expect(message).toMatch(/heap of \d+ bytes is more than the limit of 1000000/)
  })

  it.each([0, 3, 100, 50_000, -1])('cut at byte %i is refused', async (at) => {
    expect(await refusal(bytes.slice(0, at))).toMatchObject({ code: 'DATA_LOSS' })
  })

  it('that goes on after its end is refused', async () => {
    const longer = new Uint8Array(bytes.byteLength + 1)
    longer.set(bytes)
    expect(await refusal(longer)).toMatchObject({ code: 'DATA_LOSS' })
  })

  it('holds nothing of what loading left behind in free memory', async () => {
    const model = largeModel(1_024)
    // No zeros, no repetition that would be left out.
    for (let at = 200; at < model.byteLength - 200; at++) model[at] = 1 + (at % 250)
    const ones = await snapshotOf(memoryReader({ 'model.onnx': model }), 'model.onnx')
    const weightsBytes = 4 * 1_024 ** 2
    expect(ones.byteLength).toBeGreaterThan(weightsBytes)
    // ORT packs weights of a MatMul into a second copy.
    expect(ones.byteLength).toBeLessThan(bytes.byteLength + 2.1 * weightsBytes)
  })
})

describe('the limit of the heap', () => {
  const reader = memoryReader({ 'm.onnx': largeModel(2_048) })

  it('refuses a model before anything grows beyond it', async () => {
    const ort = await bootNodeOrt()
    ort.heapLimitBytes = 20 * 2 ** 20
    await expect(loadGraph(ort, reader, 'm.onnx')).rejects.toThrow()
    expect(ort.refusedBytes).toBeGreaterThan(ort.heapLimitBytes)
    expect(ort.heapBytes).toBeLessThanOrEqual(ort.heapLimitBytes)
  })

  it('lets a model load that just fits, without the spare room that growth takes by itself', async () => {
    const measured = await loadGraph(await bootNodeOrt(), reader, 'm.onnx')
    const ort = await bootNodeOrt()
    ort.heapLimitBytes = measured.ort.heapBytes
    await loadGraph(ort, reader, 'm.onnx')
    expect(ort.heapBytes).toBeLessThanOrEqual(ort.heapLimitBytes)
  })
})
