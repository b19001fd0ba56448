/**
 * Tensors into the heap and out of it, with one copy each way. ORT's tensor wraps memory that the driver owns on the way in,
 * and owns its memory on the way out, where string data comes in a block of its own that must be freed separately.
 */
import { invalidParameter } from '#contracts/errors.ts'
import {
  type Dtype,
  dtypes,
  elementCount,
  type NumericTensor,
  type StringTensor,
  type Tensor,
} from '#contracts/tensor.ts'
import { decodeText, type Ort } from './instance.ts'
import type { Pointer } from './private-exports.ts'

/** What a graph can take and give; opaque bytes are decoded before they reach it. */
export type GraphTensor = NumericTensor | StringTensor

/** A tensor handle with the memory behind it. */
export interface HeapTensor {
  readonly handle: Pointer
  /** Where the values lie. */
  readonly data: Pointer
  release(): void
}

const onCpu = 1
const pointerBytes = 4
const dtypeById = new Map<number, Dtype>(Object.entries(dtypes).map(([name, { onnx }]) => [onnx, name as Dtype]))

/** The dtype of an ONNX element type, or undefined for types that no tensor of ours has (bfloat16, int4, complex). */
export function dtypeOf(onnxType: number): Dtype | undefined {
  return dtypeById.get(onnxType)
}

/** Copies a tensor into the heap. `name` is for errors. */
export function toHeap(ort: Ort, name: string, tensor: Tensor): HeapTensor {
  if (tensor.dtype === 'binary') throw invalidParameter(name, 'a graph takes no opaque bytes')
  const sizeBytes = tensor.dtype === 'string' ? tensor.strings.length * pointerBytes : tensor.bytes.byteLength
  const expected = elementCount(tensor.shape) * (tensor.dtype === 'string' ? pointerBytes : dtypes[tensor.dtype].bytes)
  if (sizeBytes !== expected) {
    throw invalidParameter(name, `shape [${tensor.shape.join(', ')}] needs ${expected} bytes, ${sizeBytes} came`)
  }

  const data = tensor.dtype === 'string' ? stringsToHeap(ort, name, tensor.strings) : bytesToHeap(ort, tensor.bytes)
  try {
    const handle = wrap(ort, tensor.dtype, tensor.shape, data, sizeBytes)
    return {
      handle,
      data,
      release() {
        ort.module._OrtReleaseTensor(handle)
        ort.free(data)
      },
    }
  } catch (error) {
    ort.free(data)
    throw error
  }
}

/** Makes a tensor over memory that the caller keeps alive and frees; several may lie over parts of one block. */
export function wrap(ort: Ort, dtype: Dtype, shape: readonly number[], data: Pointer, sizeBytes: number): Pointer {
  const rank = shape.length
  const handle = ort.onStack(Math.max(rank, 1) * 4, (dims) => {
    ort.words(dims, rank).set(shape)
    const type = dtypes[dtype].onnx
    return (
      ort.call('making a tensor', () => ort.module._OrtCreateTensor(type, data, sizeBytes, dims, rank, onCpu)) >>> 0
    )
  })
  if (handle === 0) throw ort.lastError('Creating a tensor')
  return handle
}

/** Element type, address and shape of a tensor, which keeps its memory. */
export function placeOf(ort: Ort, handle: Pointer): { type: number; data: Pointer; shape: number[] } {
  const { module } = ort
  const [type, data, dims, rank] = ort.onStack(16, (at) => {
    const status = ort.call('reading a tensor', () => module._OrtGetTensorData(handle, at, at + 4, at + 8, at + 12))
    if (status !== 0) throw ort.lastError('Reading a tensor')
    return [...ort.words(at, 4)] as [number, number, number, number]
  })
  const shape = [...ort.words(dims, rank)]
  module._OrtFree(dims)
  return { type, data, shape }
}

/** Copies a tensor out of the heap; the handle stays the caller's. */
export function fromHeap(ort: Ort, handle: Pointer): GraphTensor {
  const { type, data, shape } = placeOf(ort, handle)
  const dtype = dtypeOf(type)
  if (dtype === 'string') {
    const strings = stringsFromHeap(ort, data, elementCount(shape))
    ort.free(data)
    return { dtype, shape, strings }
  }
  if (dtype === undefined) throw new Error(`An output has ONNX element type ${type}, which has no tensor form.`)
  // `slice` on a shared view makes an ordinary, private buffer.
  return { dtype, shape, bytes: ort.view(data, elementCount(shape) * dtypes[dtype].bytes).slice() }
}

function bytesToHeap(ort: Ort, bytes: Uint8Array): Pointer {
  const pointer = ort.malloc(bytes.byteLength)
  ort.view(pointer, bytes.byteLength).set(bytes)
  return pointer
}

/** One block: the pointers, then the zero-terminated texts they point to. */
function stringsToHeap(ort: Ort, name: string, strings: readonly string[]): Pointer {
  const encoder = new TextEncoder()
  const texts = strings.map((text, index) => {
    // C strings end at the first zero: the graph would silently see half of the text.
    if (text.includes('\0')) throw invalidParameter(`${name}[${index}]`, 'a text for a graph cannot hold U+0000')
    return encoder.encode(text)
  })
  const headBytes = texts.length * pointerBytes
  const sizeBytes = texts.reduce((sum, text) => sum + text.byteLength + 1, headBytes)
  const block = ort.malloc(sizeBytes)
  const view = ort.view(block, sizeBytes).fill(0)
  const pointers = ort.words(block, texts.length)
  let at = headBytes
  for (const [index, text] of texts.entries()) {
    pointers[index] = block + at
    view.set(text, at)
    at += text.byteLength + 1
  }
  return block
}

/** The texts lie one after another without terminators; only the last one ends with a zero. */
function stringsFromHeap(ort: Ort, block: Pointer, count: number): string[] {
  const starts = ort.words(block, count)
  return Array.from(starts, (start, index) => {
    const next = starts[index + 1]
    return next === undefined ? ort.cString(start) : decodeText(ort.view(start, next - start).slice())
  })
}
