import { existsSync } from 'node:fs'
import * as stock from 'onnxruntime-web/wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { numbers, sampleInputs } from '../support/graph-inputs.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  sharedBytes,
  sharedModelPath,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const files = ['onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx']
const graphs = Object.keys(sampleInputs).flatMap((model) =>
  files.filter((file) => existsSync(sharedModelPath(model, file))).map((file) => [model, file] as const),
)

let ort: Ort
beforeAll(async () => {
  stock.env.wasm.numThreads = 1
  ort = await bootNodeOrt()
})

async function stockRun(model: string, file: string, inputs: NamedTensors): Promise<Record<string, Uint8Array>> {
  const session = await stock.InferenceSession.create(sharedBytes(model, file))
  const feeds = Object.entries(inputs).map(([name, tensor]) => {
    const { dtype, shape } = tensor as NumericTensor
    return [
      name,
      new stock.Tensor(dtype as 'float32', valuesOf(tensor as NumericTensor) as Float32Array, shape),
    ] as const
  })
  const outputs = await session.run(Object.fromEntries(feeds))
  await session.release()
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      const { buffer, byteOffset, byteLength } = data as Float32Array
      return [name, new Uint8Array(buffer, byteOffset, byteLength)]
    }),
  )
}

describe.skipIf(!haveSharedModels)(`the driver against the stock onnxruntime-web API (${withoutSharedModels})`, () => {
  it.each(graphs)('%s/%s gives the same bits', async (model, file) => {
    const session = await loadGraph(ort, sharedReader(model), file)
    const sample = sampleInputs[model]!()
    const inputs = Object.fromEntries(
      session.inputs.map(({ name, dtype }) => {
        const tensor = sample[name] as NumericTensor
        if (dtype === tensor.dtype || dtype === 'string') return [name, tensor]
        return [name, numbers(dtype, tensor.shape, Array.from(valuesOf(tensor), Number))]
      }),
    )
    const ours = session.run(inputs)
    session.release()
    const theirs = await stockRun(model, file, inputs)
    expect(Object.keys(ours)).toEqual(Object.keys(theirs))
    for (const [name, bytes] of Object.entries(theirs)) {
      expect(Buffer.from((ours[name] as NumericTensor).bytes).equals(Buffer.from(bytes)), name).toBe(true)
    }
  })
})
