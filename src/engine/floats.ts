/** A graph's floating-point values as float32, whatever width they came in. */
import { modelFailed } from '#contracts/errors.ts'
import { elementCount, type NumericTensor, tensorOf, valuesOf } from '#contracts/tensor.ts'
import type { GraphTensor } from './ort/tensors.ts'

/** Values of a float tensor; float32 without a copy. */
export function floatsOf(name: string, tensor: GraphTensor): Float32Array<ArrayBuffer> {
  if (tensor.dtype === 'float16') return Float32Array.from(new Float16Array(tensor.bytes.slice().buffer))
  if (tensor.dtype === 'float32' || tensor.dtype === 'float64') {
    const values = valuesOf(tensor)
    return values instanceof Float32Array
      ? (values as Float32Array<ArrayBuffer>)
      : Float32Array.from(values as Float64Array)
  }
  throw modelFailed(`The graph's output "${name}" is ${tensor.dtype}; the task needs floating-point numbers.`)
}

/** Values in the width that a graph's input has. */
export function floatTensor(
  dtype: string,
  shape: readonly number[],
  values: Float32Array<ArrayBuffer>,
): NumericTensor | undefined {
  if (dtype === 'float32') return tensorOf('float32', shape, values)
  if (dtype === 'float64') return tensorOf('float64', shape, Float64Array.from(values))
  if (dtype === 'float16') return { dtype, shape, bytes: new Uint8Array(Float16Array.from(values).buffer) }
  if (dtype === 'uint8') return tensorOf('uint8', shape, Uint8Array.from(values))
  return undefined
}

/** The part of a batch's output that belongs to each row. @throws {ServingError} 400 where there is not one part per row. */
export function rowsOf(name: string, tensor: GraphTensor, rows: number): { shape: number[]; values: Float32Array[] } {
  const values = floatsOf(name, tensor)
  const [first, ...shape] = tensor.shape
  if (first !== rows) {
    throw modelFailed(`The graph's output "${name}" has shape [${tensor.shape.join(', ')}] for ${rows} rows.`)
  }
  const size = elementCount(shape)
  return { shape, values: Array.from({ length: rows }, (_, row) => values.subarray(row * size, (row + 1) * size)) }
}
