/**
 * An input that a model version answers, made from its signature when the model brings none.
 *
 * A graph's free dimensions have names but no sizes, so for a tensor entity there are several candidates, tried in order:
 * all ones; past sequences empty; then longer last dimensions, as sound and text models need, with the integer scalars that
 * select a sampling rate.
 */
import type { Field, Signature } from '#contracts/signature.ts'
import type { Task } from '#contracts/task.ts'
import { elementCount, type NamedTensors, newValues, type Tensor, tensorOf } from '#contracts/tensor.ts'

/** A native invocation body for a task with columns; null for tensor entities. */
export function exampleBody(task: Task): unknown {
  switch (task) {
    case 'text-classification':
    case 'feature-extraction':
      return { inputs: { text: ['Where is my new card? It has not arrived yet.'] } }
    case 'token-classification':
      return { inputs: { text: ['Ada Lovelace wrote to Charles Babbage from London.'] } }
    case 'rerank':
      return {
        inputs: { query: ['Where is my card?'], documents: [['It is on its way.', 'Bread is baked at night.']] },
      }
    case 'image-classification':
    case 'object-detection':
      return { inputs: { image: [greyPixelPng] } }
    case 'voice-activity':
      return { inputs: { audio: [silentWav] } }
    case 'text-generation':
      return { prompt: 'Once upon a time', max_tokens: 8 }
    default:
      return null
  }
}

interface Candidate {
  /** Size of free dimensions but the last; and of the last. */
  free: number
  last: number
  /** Value of integer scalars. */
  scalar: number
}

const candidates: readonly Candidate[] = [
  { free: 1, last: 1, scalar: 1 },
  { free: 1, last: 16, scalar: 1 },
  { free: 1, last: 576, scalar: 16_000 },
  { free: 1, last: 512, scalar: 16_000 },
  { free: 1, last: 256, scalar: 8_000 },
  { free: 16, last: 16, scalar: 1 },
  { free: 64, last: 64, scalar: 1 },
  { free: 224, last: 224, scalar: 1 },
  { free: 640, last: 640, scalar: 1 },
  { free: 1, last: 16_000, scalar: 16_000 },
]

/** Zero-filled named inputs to try in order; one is enough where the graph fixes every size. */
export function exampleTensors(signature: Signature): NamedTensors[] {
  const fields = signature.inputs.filter((field) => field.optional !== true)
  const fixed = fields.every((field) => field.shape.every((size) => typeof size === 'number'))
  return (fixed ? candidates.slice(0, 1) : candidates).map((candidate) =>
    Object.fromEntries(fields.map((field) => [field.name, exampleTensor(field, candidate)])),
  )
}

function exampleTensor(field: Field, candidate: Candidate): Tensor {
  const shape = field.shape.map((size, axis) => sizeOf(size, axis, field.shape.length, candidate))
  const length = elementCount(shape)
  if (field.dtype === 'string') return { dtype: 'string', shape, strings: new Array<string>(length).fill('') }
  if (field.dtype === 'binary') return { dtype: 'binary', shape, items: [] }
  const values = newValues(field.dtype, length)
  if (field.dtype === 'int64' || field.dtype === 'int32') {
    const value = shape.length === 0 ? candidate.scalar : 1
    if (values instanceof BigInt64Array) values.fill(BigInt(value))
    else (values as Int32Array).fill(value)
  }
  return tensorOf(field.dtype, shape, values)
}

function sizeOf(size: number | string, axis: number, rank: number, candidate: Candidate): number {
  if (typeof size === 'number') return size
  if (/past/i.test(size)) return 0
  if (axis === 0 || /batch/i.test(size)) return 1
  return axis === rank - 1 ? candidate.last : candidate.free
}

/** One grey pixel as PNG. */
const greyPixelPng = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=='

/** 4 ms of silence as WAV: 16 kHz, 16-bit PCM. */
const silentWav =
  'UklGRqQAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=='
