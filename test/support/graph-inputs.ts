/** The inputs that `expected.json` of a shared model describes, as tensors. */
import {
  elementCount,
  type NamedTensors,
  type NumericDtype,
  type NumericTensor,
  newValues,
  tensorOf,
} from '#contracts/tensor.ts'
import { sharedBytes } from './shared-models.ts'

export interface ExpectedTensor {
  dtype: NumericDtype
  dims: number[]
  data?: number[]
  file?: string
  encoding?: string
  first?: number[]
  sum?: number
  min?: number
  max?: number
  argmax?: number
}

export function expectedInput(model: string, { dtype, dims, data, file, encoding }: ExpectedTensor): NumericTensor {
  if (data) return numbers(dtype, dims, data)
  const [, channels = 0, height = 0, width = 0] = dims
  const rgb = sharedBytes(model, file!)
  const order = encoding?.includes('BGR') ? [2, 1, 0] : [0, 1, 2]
  const planes = Array.from({ length: channels * height * width }, (_, at) => {
    const pixel = at % (height * width)
    return rgb[3 * pixel + order[Math.floor(at / (height * width))]!]!
  })
  return numbers(dtype, dims, planes)
}

/** Numbers in any dtype; float16 is rounded. */
export function numbers(dtype: NumericDtype, dims: readonly number[], values: readonly number[]): NumericTensor {
  if (dtype === 'float16') return { dtype, shape: dims, bytes: new Uint8Array(Float16Array.from(values).buffer) }
  const array = newValues(dtype, elementCount(dims))
  for (const [index, value] of values.entries()) array[index] = array instanceof BigInt64Array ? BigInt(value) : value
  return tensorOf(dtype, dims, array)
}

/** One run's inputs for each graph of the shared models, small and always the same. */
export const sampleInputs: Readonly<Record<string, () => NamedTensors>> = {
  'fixture-bert-random-sentence_embedding': bertInputs,
  'fixture-bert-random-sequence_classification': bertInputs,
  'fixture-bert-random-token_classification': bertInputs,
  magika: () => ({ bytes: numbers('int32', [2, 2048], wave(4096, 128, 128).map(Math.trunc)) }),
  'mnist-cntk': () => ({ Input3: numbers('float32', [1, 1, 28, 28], wave(784, 127, 128)) }),
  'silero-vad': () => ({
    input: numbers('float32', [1, 576], wave(576, 0.5, 0)),
    state: numbers('float32', [2, 1, 128], wave(256, 0.1, 0)),
    sr: numbers('int64', [], [16_000]),
  }),
  squeezenet: () => ({ data_0: numbers('float32', [1, 3, 224, 224], wave(150_528, 127, 128)) }),
  stories260k: () => ({
    input_ids: numbers('int64', [1, 5], [1, 403, 407, 261, 378]),
    attention_mask: numbers('int64', [1, 5], [1, 1, 1, 1, 1]),
    position_ids: numbers('int64', [1, 5], [0, 1, 2, 3, 4]),
    ...noPast(),
  }),
  'yolox-nano': () => ({ images: numbers('float32', [1, 3, 416, 416], wave(519_168, 127, 128)) }),
}

/** The empty key and value cache of stories260k. */
export function noPast(): NamedTensors {
  const names = Array.from({ length: 5 }, (_, layer) => [
    `past_key_values.${layer}.key`,
    `past_key_values.${layer}.value`,
  ])
  return Object.fromEntries(names.flat().map((name) => [name, numbers('float32', [1, 4, 0, 8], [])]))
}

function bertInputs(): NamedTensors {
  const ids = [101, 7592, 2088, 1010, 2023, 2003, 1037, 3231, 1012, 102]
  const ones = ids.map(() => 1)
  const zeros = ids.map(() => 0)
  return {
    input_ids: numbers('int64', [1, 10], ids),
    attention_mask: numbers('int64', [1, 10], ones),
    token_type_ids: numbers('int64', [1, 10], zeros),
  }
}

function wave(length: number, amplitude: number, middle: number): number[] {
  return Array.from({ length }, (_, at) => middle + amplitude * Math.sin(at * 0.37) * Math.cos(at * 0.011))
}
