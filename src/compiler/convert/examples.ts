/**
 * Inputs on which the forms of a model are compared: sentences through the model's own tokenizer for a graph of texts, seeded
 * numbers of fitting shapes for any other.
 */
import type { NamedTensors, NumericTensor, Tensor } from '#contracts/tensor.ts'
import { elementCount, newValues, tensorOf, valuesOf } from '#contracts/tensor.ts'
import type { Port } from '#src/engine/ort/ports.ts'
import { exampleTensors } from '../input-example.ts'

export interface ExampleSource {
  /** Token ids of texts, where the model has a tokenizer. */
  encodings: readonly { ids: readonly number[]; typeIds: readonly number[] }[]
  /** Token ids go up to here where there is none. */
  vocabulary: number
}

/** Different in length, language, punctuation and subject. */
export const exampleTexts = [
  'Where is my new card? It has not arrived yet.',
  'The committee postponed its decision until the end of the month.',
  'Absolutely wonderful film, I would watch it again!',
  'Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.',
  'no',
  'The delivery was late, the box was damaged and nobody answers the telephone; I want my money back.',
  'Der Zug nach Hamburg fährt heute von Gleis 7.',
  'def add(a, b): return a + b  # 2 + 2 = 4',
] as const

const samplesPerShape = 3

/** Lists of examples to try in order; one that the model refuses as a whole is passed over. */
export function* examplesFor(inputs: readonly Port[], source: ExampleSource): Generator<NamedTensors[]> {
  const fields = inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] }))
  const candidates = exampleTensors({ inputs: fields, outputs: [], params: [] })
  const byText = source.encodings.filter(({ ids }) => ids.length > 0)
  if (byText.length > 0 && inputs.some(({ name }) => name === 'input_ids')) {
    const [shapes] = candidates
    yield byText.map(({ ids, typeIds }) =>
      Object.fromEntries(
        inputs.map((port) => [
          port.name,
          tokenTensor(port, ids, typeIds) ?? filled(shapes![port.name]!, port, source, 0),
        ]),
      ),
    )
  }
  for (const shapes of candidates) {
    yield Array.from({ length: samplesPerShape }, (_, sample) =>
      Object.fromEntries(inputs.map((port) => [port.name, filled(shapes[port.name]!, port, source, sample)])),
    )
  }
}

/**
 * The example as the first row of a batch, above rows that are the example turned back to front; undefined where it is not one
 * row of numbers.
 */
export function amongNeighbours(inputs: NamedTensors, rows: number): NamedTensors | undefined {
  const batch = Object.entries(inputs).map(([name, tensor]) => [name, stacked(tensor, rows)] as const)
  return batch.every(([, tensor]) => tensor) ? (Object.fromEntries(batch) as NamedTensors) : undefined
}

function stacked(tensor: Tensor, rows: number): Tensor | undefined {
  if (!('bytes' in tensor) || tensor.shape[0] !== 1) return undefined
  const { dtype, shape, bytes } = tensor
  const turned = valuesOf(tensor).slice().reverse()
  const stack = new Uint8Array(rows * bytes.byteLength)
  stack.set(bytes)
  for (let row = 1; row < rows; row++) stack.set(new Uint8Array(turned.buffer), row * bytes.byteLength)
  return { dtype, shape: [rows, ...shape.slice(1)], bytes: stack }
}

function tokenTensor(port: Port, ids: readonly number[], typeIds: readonly number[]): NumericTensor | undefined {
  const values = tokenValues(port.name, ids, typeIds)
  if (!values || port.shape.length !== 2) return undefined
  const shape = [1, ids.length]
  if (port.dtype === 'int64') return tensorOf('int64', shape, BigInt64Array.from(values, BigInt))
  return port.dtype === 'int32' ? tensorOf('int32', shape, Int32Array.from(values)) : undefined
}

function tokenValues(name: string, ids: readonly number[], typeIds: readonly number[]): readonly number[] | undefined {
  if (name === 'input_ids') return ids
  if (name === 'token_type_ids') return typeIds
  if (name === 'attention_mask') return ids.map(() => 1)
  return name === 'position_ids' ? ids.map((_, at) => at) : undefined
}

/** Numbers in the place of an example's zeros. */
function filled(tensor: Tensor, { name }: Port, { vocabulary }: ExampleSource, sample: number): Tensor {
  if (!('bytes' in tensor)) return tensor
  const { dtype, shape } = tensor
  const count = elementCount(shape)
  const random = seeded(sample * 65_537 + name.length)
  if (dtype === 'float32' || dtype === 'float64') {
    const values = newValues(dtype, count) as Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>
    for (let at = 0; at < count; at++) values[at] = random() * 2 - 1
    return tensorOf(dtype, shape, values)
  }
  if (dtype !== 'int64' && dtype !== 'int32') return tensor
  const width = shape.at(-1) ?? 1
  const value = valueFor(name, vocabulary, random)
  if (!value) return tensor
  const list = Array.from({ length: count }, (_, at) => value(at % width))
  return dtype === 'int64'
    ? tensorOf(dtype, shape, BigInt64Array.from(list, BigInt))
    : tensorOf(dtype, shape, Int32Array.from(list))
}

/** Undefined where the ones that are there already are the best guess. */
function valueFor(name: string, vocabulary: number, random: () => number): ((place: number) => number) | undefined {
  if (/mask/i.test(name)) return undefined
  if (/token_type/i.test(name)) return () => 0
  if (/position/i.test(name)) return (place) => place
  return /ids$|tokens?$|bytes/i.test(name) ? () => Math.floor(random() * vocabulary) : undefined
}

/** Numbers from 0 to 1, the same for the same seed. */
function seeded(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b1 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
