/**
 * Damaged model files never do more than fail: what is thrown says why, and the engine either goes on as before or says that it has
 * stopped, so that it is replaced.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { isServingError } from '#contracts/errors.ts'
import type { ArtifactReader, ServedModel } from '#contracts/served-model.ts'
import type { Signature } from '#contracts/signature.ts'
import {
  type BinaryTensor,
  dtypes,
  elementCount,
  type NamedTensors,
  type NumericTensor,
  type StringTensor,
  tensorOf,
  valuesOf,
} from '#contracts/tensor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { OrtError, OrtTrapped } from '#src/engine/ort/error.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import type { TaskDefinition } from '#src/engine/task-definition.ts'
import { imageClassificationTask } from '#src/engine/tasks/image-classification.ts'
import { tensorTask } from '#src/engine/tasks/tensor.ts'
import { textClassificationTask } from '#src/engine/tasks/text-classification.ts'
import { countingLoop } from '../support/hostile-models.ts'
import { Chance, mutatedBytes, mutatedJson } from '../support/mutations.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { folderReader, memoryReader, overlayReader } from '../support/shared-models.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const fixtures = join(repository, 'test/fixtures/onnx')
const modelFolder = (name: string) => join(repository, 'models', name)
const onnxIn = (name: string) =>
  `onnx/${readdirSync(join(modelFolder(name), 'onnx')).find((file) => file.endsWith('.onnx'))}`

const graphs: Readonly<Record<string, Uint8Array>> = {
  'identity.onnx': new Uint8Array(readFileSync(join(fixtures, 'identity.onnx'))),
  'channel-means.onnx': new Uint8Array(readFileSync(join(fixtures, 'channel-means.onnx'))),
  'linear.ort': new Uint8Array(readFileSync(join(fixtures, 'linear.ort'))),
  'loop.onnx': countingLoop(5n),
  'digits.onnx': new Uint8Array(readFileSync(join(modelFolder('digits'), onnxIn('digits')))),
}

/** Each kind of damage comes several times among them. */
const seeds = 20

/** What a heap of the usual size holds: loaded models stay, as an endpoint has one for its life. */
const loadsPerEngine = 12

/** An engine with the bounds of an endpoint, replaced when it has stopped or is full. */
class BoundedEngine {
  #ort: Ort | undefined
  #loads = 0

  async ort(): Promise<Ort> {
    if (this.#ort && !this.#ort.trapped && this.#loads++ < loadsPerEngine) return this.#ort
    this.#loads = 0
    this.#ort = await bootNodeOrt()
    this.#ort.heapLimitBytes = 120 * 2 ** 20
    this.#ort.callLimit.limitMs = 2_000
    return this.#ort
  }

  /** Resolves to whether the engine is as good as before; a good model tells. */
  async check(what: string): Promise<void> {
    const ort = await this.ort()
    const reader = memoryReader({ 'good.onnx': scaleModel(3) })
    const good = await loadModel(ort, tensorTask, { graph: 'good.onnx', reader, options: {} })
    const x = tensorOf('float32', [1, 2], Float32Array.of(1, 2))
    const { outputs } = await good.invoke({ inputs: { x }, params: {} })
    expect(Array.from(valuesOf(outputs.y as NumericTensor) as Float32Array), what).toEqual([3, 6])
  }
}

type Outcome = 'answered' | 'refused' | 'stopped'

/** `isExpected`: what is thrown beside refusals of ours and of the engine. */
async function outcomeOf(work: () => Promise<unknown>, isExpected = (_: unknown) => false): Promise<Outcome> {
  try {
    await work()
    return 'answered'
  } catch (error) {
    if (error instanceof OrtTrapped) return 'stopped'
    if (isServingError(error) || error instanceof OrtError || error instanceof RangeError || isExpected(error)) {
      expect((error as Error).message).toMatch(/\S/)
      return 'refused'
    }
    throw error
  }
}

/** Ones for every input, with 2 for each size that is left open; undefined where that is more than a test wants. */
function onesFor({ inputs }: Signature): NamedTensors | undefined {
  const tensors = inputs.map(({ name, dtype, shape }) => {
    const sizes = (shape ?? []).map((size) => (typeof size === 'number' ? Math.max(size, 0) : 2))
    const count = elementCount(sizes)
    if (dtype === 'binary' || !(count <= 1_000_000)) return undefined
    if (dtype === 'string') return [name, { dtype, shape: sizes, strings: Array<string>(count).fill('a') }] as const
    return [name, { dtype, shape: sizes, bytes: new Uint8Array(count * dtypes[dtype].bytes) }] as const
  })
  return tensors.includes(undefined) ? undefined : Object.fromEntries(tensors.map((tensor) => tensor!))
}

async function loadAndRun(ort: Ort, graph: string, bytes: Uint8Array): Promise<void> {
  const model = await loadModel(ort, tensorTask, { graph, reader: memoryReader({ [graph]: bytes }), options: {} })
  const inputs = onesFor(model.signature)
  if (inputs) await model.invoke({ inputs, params: {} })
}

describe.each(Object.keys(graphs))('%s with damaged bytes', (graph) => {
  it('loads, is refused, or stops its engine, which a new one replaces', async () => {
    const engine = new BoundedEngine()
    const counts = { answered: 0, refused: 0, stopped: 0 }
    for (let seed = 0; seed < seeds; seed++) {
      const bytes = mutatedBytes(graphs[graph]!, new Chance(seed))
      const ort = await engine.ort()
      counts[await outcomeOf(() => loadAndRun(ort, graph, bytes))]++
      await engine.check(`after seed ${seed}`)
    }
    expect(counts.answered + counts.refused).toBeGreaterThan(counts.stopped)
  })
})

interface JsonTarget {
  model: string
  file: string
  task: TaskDefinition
  inputs: NamedTensors
}

const texts: StringTensor = { dtype: 'string', shape: [2], strings: ['where is my card?', 'Ünïcode 🐈'] }
const pictures: BinaryTensor = {
  dtype: 'binary',
  shape: [1],
  items: [new Uint8Array(readFileSync(join(modelFolder('digits'), 'sample.png')))],
}
const targets: readonly JsonTarget[] = [
  { model: 'intent', file: 'tokenizer.json', task: textClassificationTask, inputs: { text: texts } },
  { model: 'intent', file: 'tokenizer_config.json', task: textClassificationTask, inputs: { text: texts } },
  { model: 'intent', file: 'config.json', task: textClassificationTask, inputs: { text: texts } },
  { model: 'digits', file: 'preprocessor_config.json', task: imageClassificationTask, inputs: { image: pictures } },
  { model: 'digits', file: 'config.json', task: imageClassificationTask, inputs: { image: pictures } },
]

/** The tokenizer's library looks at a file only when it is used; the endpoint says `The model failed` and these words. */
const isLibraryError = (error: unknown) => error instanceof TypeError

describe.each(targets)('$model with a damaged $file', ({ model, file, task, inputs }) => {
  it('answers or is refused with a reason', async () => {
    const original = folderReader(modelFolder(model))
    const parsed: unknown = JSON.parse(readFileSync(join(modelFolder(model), file), 'utf8'))
    const engine = new BoundedEngine()
    const load = async (reader: ArtifactReader): Promise<ServedModel> =>
      loadModel(await engine.ort(), task, { graph: onnxIn(model), reader, options: {} })
    const counts = { answered: 0, refused: 0, stopped: 0 }
    for (let seed = 0; seed < seeds; seed++) {
      const reader = overlayReader({ [file]: mutatedJson(parsed, new Chance(seed)) }, original)
      counts[await outcomeOf(async () => (await load(reader)).invoke({ inputs, params: {} }), isLibraryError)]++
    }
    expect(counts.stopped).toBe(0)
    await (await load(original)).invoke({ inputs, params: {} })
  })
})
