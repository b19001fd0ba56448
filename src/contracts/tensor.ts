/**
 * Tensors as they cross between dispatcher, host and endpoint: a dtype, a shape and flat row-major values.
 * Numeric values are raw little-endian bytes; strings are a list. Names of dtypes are ONNX Runtime's.
 */
export const dtypes = {
  float32: { onnx: 1, bytes: 4, oip: 'FP32' },
  uint8: { onnx: 2, bytes: 1, oip: 'UINT8' },
  int8: { onnx: 3, bytes: 1, oip: 'INT8' },
  uint16: { onnx: 4, bytes: 2, oip: 'UINT16' },
  int16: { onnx: 5, bytes: 2, oip: 'INT16' },
  int32: { onnx: 6, bytes: 4, oip: 'INT32' },
  int64: { onnx: 7, bytes: 8, oip: 'INT64' },
  string: { onnx: 8, bytes: 0, oip: 'BYTES' },
  bool: { onnx: 9, bytes: 1, oip: 'BOOL' },
  float16: { onnx: 10, bytes: 2, oip: 'FP16' },
  float64: { onnx: 11, bytes: 8, oip: 'FP64' },
  uint32: { onnx: 12, bytes: 4, oip: 'UINT32' },
  uint64: { onnx: 13, bytes: 8, oip: 'UINT64' },
} as const

export type Dtype = keyof typeof dtypes
export type NumericDtype = Exclude<Dtype, 'string'>

export interface NumericTensor {
  dtype: NumericDtype
  shape: readonly number[]
  /** Row-major, little-endian, exactly `elementCount(shape) * dtypes[dtype].bytes` long. */
  bytes: Uint8Array
}

export interface StringTensor {
  dtype: 'string'
  shape: readonly number[]
  strings: readonly string[]
}

/** An opaque byte string per element (pictures, sound); travels only as an input. */
export interface BinaryTensor {
  dtype: 'binary'
  shape: readonly number[]
  items: readonly Uint8Array[]
}

export type Tensor = NumericTensor | StringTensor | BinaryTensor
export type NamedTensors = Readonly<Record<string, Tensor>>

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

const arrays = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float16: Uint16Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
} as const

export type NumericArray = InstanceType<(typeof arrays)[NumericDtype]>

/** A typed view of a tensor's values; copies only when the bytes are not aligned. float16 shows as raw 16-bit words. */
export function valuesOf(tensor: NumericTensor): NumericArray {
  const View = arrays[tensor.dtype]
  const { bytes } = tensor
  const aligned = bytes.byteOffset % View.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice()
  return new View(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / View.BYTES_PER_ELEMENT)
}

/** Wraps a typed array as a tensor without copying. */
export function tensorOf(dtype: NumericDtype, shape: readonly number[], values: NumericArray): NumericTensor {
  return { dtype, shape, bytes: new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength) }
}

/** An empty array of the dtype's element type; float16 holds raw 16-bit words. */
export function newValues(dtype: NumericDtype, length: number): NumericArray {
  return new arrays[dtype](length)
}

export const numericDtypes = Object.keys(dtypes).filter((dtype) => dtype !== 'string') as readonly NumericDtype[]
