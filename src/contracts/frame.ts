/**
 * The binary form in which invocations cross between workers: a JSON head and the raw bytes of all tensors, so that numbers
 * are never printed and parsed again on the way.
 *
 *   u32 LE  length of the head in bytes
 *   head    UTF-8 JSON; a tensor is { dtype, shape, at, sizeBytes } | { dtype: 'string', shape, strings }
 *           | { dtype: 'binary', shape, sizes, at }; `at` counts from the start of the body
 *   body    begins at the next multiple of 8; every tensor begins at a multiple of 8
 */
import { badRequest } from './errors.ts'
import type { NamedTensors, NumericDtype, Tensor } from './tensor.ts'

type TensorHead =
  | { dtype: NumericDtype; shape: readonly number[]; at: number; sizeBytes: number }
  | { dtype: 'string'; shape: readonly number[]; strings: readonly string[] }
  | { dtype: 'binary'; shape: readonly number[]; at: number; sizes: readonly number[] }

interface Head {
  tensors: Record<string, TensorHead>
  rest: unknown
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export const frameContentType = 'application/x-glim-frame'

/** Packs named tensors and any JSON value beside them. */
export function encodeFrame(tensors: NamedTensors, rest: unknown): Uint8Array {
  const body: Body = { parts: [], sizeBytes: 0 }
  const heads: [string, TensorHead][] = []
  for (const name of Object.keys(tensors)) heads.push([name, headOf(tensors[name]!, body)])
  const head = JSON.stringify({ tensors: Object.fromEntries(heads), rest } satisfies Head)

  // A head of ASCII, as most are, is written in its place; any other is encoded first, to know its length.
  const encoded = isAscii(head) ? undefined : encoder.encode(head)
  const headBytes = encoded?.byteLength ?? head.length
  const bodyAt = align(4 + headBytes)
  const frame = new Uint8Array(bodyAt + body.sizeBytes)
  for (let at = 0; at < 4; at++) frame[at] = headBytes >>> (8 * at)
  if (encoded) frame.set(encoded, 4)
  else encoder.encodeInto(head, frame.subarray(4))
  for (const { bytes, at } of body.parts) frame.set(bytes, bodyAt + at)
  return frame
}

/** Unpacks a frame; the tensors are views of it. @throws {ServingError} 400 on a frame that is cut or inconsistent. */
export function decodeFrame(frame: Uint8Array): { tensors: NamedTensors; rest: unknown } {
  if (frame.byteLength < 4) throw badRequest('The frame is cut before its head.')
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0, true)
  if (4 + length > frame.byteLength) throw badRequest('The frame is cut within its head.')
  const head = JSON.parse(decoder.decode(frame.subarray(4, 4 + length))) as Head
  const body = frame.subarray(align(4 + length))

  const tensors: Record<string, Tensor> = Object.create(null)
  for (const [name, tensor] of Object.entries(head.tensors)) tensors[name] = tensorAt(name, tensor, body)
  return { tensors, rest: head.rest }
}

/** What follows the head, in the making. */
interface Body {
  parts: { bytes: Uint8Array; at: number }[]
  sizeBytes: number
}

function headOf(tensor: Tensor, body: Body): TensorHead {
  const { shape } = tensor
  if (tensor.dtype === 'string') return { dtype: 'string', shape, strings: tensor.strings }
  if (tensor.dtype === 'binary') {
    const starts = tensor.items.map((item) => place(item, body))
    return { dtype: 'binary', shape, at: starts[0] ?? 0, sizes: tensor.items.map((item) => item.byteLength) }
  }
  return { dtype: tensor.dtype, shape, at: place(tensor.bytes, body), sizeBytes: tensor.bytes.byteLength }
}

function place(bytes: Uint8Array, body: Body): number {
  const at = align(body.sizeBytes)
  body.parts.push({ bytes, at })
  body.sizeBytes = at + bytes.byteLength
  return at
}

function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text)
}

function tensorAt(name: string, head: TensorHead, body: Uint8Array): Tensor {
  const slice = (at: number, sizeBytes: number) => {
    if (at + sizeBytes > body.byteLength) throw badRequest(`The frame is cut within tensor "${name}".`)
    return body.subarray(at, at + sizeBytes)
  }
  if (head.dtype === 'string') return { dtype: 'string', shape: head.shape, strings: head.strings }
  if (head.dtype === 'binary') {
    let at = head.at
    const items = head.sizes.map((sizeBytes) => {
      at = align(at)
      const item = slice(at, sizeBytes)
      at += sizeBytes
      return item
    })
    return { dtype: 'binary', shape: head.shape, items }
  }
  return { dtype: head.dtype, shape: head.shape, bytes: slice(head.at, head.sizeBytes) }
}

function align(offset: number): number {
  return (offset + 7) & ~7
}
