/**
 * Tensors in JSON: nested lists in and out, with stated forms for what JSON numbers cannot carry, so that nothing is rounded
 * silently.
 *
 *   float      a number within the dtype's range, or "NaN", "Infinity", "-Infinity"
 *   int64      a number up to ±(2^53 − 1), or decimal digits in a string beyond
 *   bool       true or false; 0 and 1 are accepted
 *   string     a string
 *   binary     base64 text, a data URL, or {"b64": "…"}
 */
import { base64Of, bytesFromBase64 } from '#contracts/bytes.ts'
import { badRequest, type ServingError } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Field } from '#contracts/signature.ts'
import {
  elementCount,
  type NumericArray,
  type NumericDtype,
  type NumericTensor,
  newValues,
  type Tensor,
  tensorOf,
  valuesOf,
} from '#contracts/tensor.ts'

/** Reads a nested list as a tensor of the field's dtype. @throws {ServingError} 400 naming the element at fault. */
export function tensorFromJson(value: unknown, dtype: Field['dtype'], path: string): Tensor {
  const shape = shapeOf(value, path)
  const length = elementCount(shape)
  if (length > limits.tensorElements)
    throw schema(path, `${length} elements are more than the ${limits.tensorElements} allowed`)
  if (dtype === 'string') {
    const strings: string[] = []
    visit(value, shape, path, (element, _at, where) => {
      if (typeof element !== 'string') throw schema(where(), `expected a string, got ${describe(element)}`)
      if (element.length > limits.textCharacters)
        throw schema(where(), `${element.length} characters are more than the ${limits.textCharacters} allowed`)
      strings.push(element)
    })
    return { dtype, shape, strings }
  }
  if (dtype === 'binary') {
    const items: Uint8Array[] = []
    visit(value, shape, path, (element, _at, where) => items.push(bytesFromJson(element, where)))
    return { dtype, shape, items }
  }
  const values = newValues(dtype, length)
  const isPlain =
    (dtype === 'float32' || dtype === 'float64') && fillPlain(value, shape, 0, values as Float32Array, 0) >= 0
  if (!isPlain) visit(value, shape, path, writer(dtype, values))
  return tensorOf(dtype, shape, values)
}

/** Writes a tensor as nested lists. */
export function tensorToJson(tensor: Tensor): unknown {
  return nest(elementsToJson(tensor), tensor.shape)
}

/** A tensor's elements, flat and row-major, in their JSON forms. */
export function elementsToJson(tensor: Tensor): unknown[] {
  if (tensor.dtype === 'string') return [...tensor.strings]
  if (tensor.dtype === 'binary') return tensor.items.map((item) => base64Of(item))
  return numbersToJson(tensor)
}

/** What came, for error messages: never the value itself where it may be long or secret. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`
  if (typeof value === 'string')
    return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
  return typeof value === 'object' ? 'an object' : typeof value
}

/** A value that does not fit the entity's signature, in the wording that clients of the reference match on. */
export function schema(path: string, problem: string): ServingError {
  return badRequest(`Failed to enforce schema: ${path}: ${problem}.`, path)
}

/**
 * Numbers that fit, in lists that agree: nearly everything that comes, without a call for each of them. Resolves to where the next one
 * would go, or to −1 where anything else came, which the general way then reads or names.
 */
function fillPlain(value: unknown, shape: readonly number[], axis: number, values: Float32Array, from: number): number {
  if (axis === shape.length) {
    if (typeof value !== 'number') return -1
    values[from] = value
    return Number.isFinite(values[from]) ? from + 1 : -1
  }
  if (!Array.isArray(value) || value.length !== shape[axis]) return -1
  let at = from
  for (let index = 0; index < value.length && at >= 0; index++)
    at = fillPlain(value[index], shape, axis + 1, values, at)
  return at
}

type Visitor = (element: unknown, at: number, where: () => string) => void

/** The shape that the first elements suggest; `visit` checks that the rest agrees. */
function shapeOf(value: unknown, path: string): number[] {
  const shape: number[] = []
  let inner = value
  while (Array.isArray(inner)) {
    shape.push(inner.length)
    if (shape.length > limits.tensorRank)
      throw schema(path, `nests deeper than the ${limits.tensorRank} dimensions allowed`)
    inner = inner[0]
  }
  return shape
}

function visit(value: unknown, shape: readonly number[], path: string, each: Visitor): void {
  let at = 0
  const index: number[] = []
  const where = () => path + index.map((position) => `[${position}]`).join('')
  const walk = (inner: unknown, axis: number): void => {
    if (axis === shape.length) {
      if (Array.isArray(inner))
        throw schema(where(), `expected one value, got ${describe(inner)}: the lists are ragged`)
      each(inner, at++, where)
      return
    }
    if (!Array.isArray(inner)) throw schema(where(), `expected a list of ${shape[axis]}, got ${describe(inner)}`)
    if (inner.length !== shape[axis])
      throw schema(where(), `expected a list of ${shape[axis]}, got a list of ${inner.length}: the lists are ragged`)
    for (let position = 0; position < inner.length; position++) {
      index[axis] = position
      walk(inner[position], axis + 1)
    }
    index.length = axis
  }
  walk(value, 0)
}

const nonFinite: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

const ranges = {
  uint8: [0, 255],
  int8: [-128, 127],
  uint16: [0, 65_535],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint32: [0, 4_294_967_295],
} as const

function writer(dtype: NumericDtype, values: NumericArray): Visitor {
  switch (dtype) {
    case 'float32':
    case 'float64':
      return floatWriter(dtype, values as Float32Array | Float64Array)
    case 'float16':
      return floatWriter(dtype, new Float16Array(values.buffer as ArrayBuffer))
    case 'int64':
    case 'uint64': {
      const target = values as BigInt64Array | BigUint64Array
      return (element, at, where) => {
        target[at] = bigintFromJson(element, dtype, where)
      }
    }
    case 'bool': {
      const target = values as Uint8Array
      return (element, at, where) => {
        if (element !== true && element !== false && element !== 0 && element !== 1)
          throw schema(where(), `expected true or false, got ${describe(element)}`)
        target[at] = Number(element)
      }
    }
    default: {
      const target = values as Int32Array
      const [least, most] = ranges[dtype]
      return (element, at, where) => {
        if (!Number.isInteger(element))
          throw schema(where(), `expected an integer (${dtype}), got ${describe(element)}`)
        if ((element as number) < least || (element as number) > most)
          throw schema(where(), `${element} is outside ${dtype}'s range ${least} to ${most}`)
        target[at] = element as number
      }
    }
  }
}

function floatWriter(dtype: NumericDtype, target: Float16Array | Float32Array | Float64Array): Visitor {
  return (element, at, where) => {
    target[at] = floatFromJson(element, dtype, where)
    // A number too large for the dtype, or for JSON, would go on as an infinity that nobody sent.
    if (typeof element === 'number' && !Number.isFinite(target[at])) {
      throw schema(where(), `the number is outside ${dtype}'s range; an infinity is sent as "Infinity" or "-Infinity"`)
    }
  }
}

function floatFromJson(element: unknown, dtype: NumericDtype, where: () => string): number {
  if (typeof element === 'number') return element
  const special = typeof element === 'string' ? nonFinite[element] : undefined
  if (special === undefined) throw schema(where(), `expected a number (${dtype}), got ${describe(element)}`)
  return special
}

function bigintFromJson(element: unknown, dtype: 'int64' | 'uint64', where: () => string): bigint {
  const isDigits = typeof element === 'string' && /^-?\d{1,20}$/.test(element)
  if (!isDigits && !Number.isInteger(element))
    throw schema(where(), `expected an integer (${dtype}), got ${describe(element)}`)
  if (!isDigits && !Number.isSafeInteger(element))
    throw schema(where(), `${element} is beyond 2^53 − 1; send it as a string of digits`)
  const value = BigInt(element as string | number)
  const fits = dtype === 'int64' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)
  if (fits !== value) throw schema(where(), `${value} is outside the range of ${dtype}`)
  return value
}

function bytesFromJson(element: unknown, where: () => string): Uint8Array {
  const inner = typeof element === 'object' && element !== null && 'b64' in element ? element.b64 : element
  if (typeof inner !== 'string')
    throw schema(where(), `expected base64 text, a data URL or {"b64": …}, got ${describe(element)}`)
  const text = inner.startsWith('data:') ? inner.slice(inner.indexOf(',') + 1) : inner
  if (inner.startsWith('data:') && !/^data:[^,]*;base64,/.test(inner))
    throw schema(where(), 'the data URL is not base64 ("data:TYPE;base64,…")')
  try {
    return bytesFromBase64(text)
  } catch {
    throw schema(where(), `${describe(inner)} is not base64`)
  }
}

function numbersToJson(tensor: NumericTensor): unknown[] {
  const values = valuesOf(tensor)
  switch (tensor.dtype) {
    case 'float32':
    case 'float64':
      return mapped(values as Float32Array, floatToJson)
    case 'float16':
      return mapped(new Float16Array(values.buffer as ArrayBuffer, values.byteOffset, values.length), floatToJson)
    case 'int64':
    case 'uint64':
      return mapped(values as BigInt64Array, (value) =>
        Number.isSafeInteger(Number(value)) ? Number(value) : value.toString(),
      )
    case 'bool':
      return mapped(values as Uint8Array, (value) => value !== 0)
    default:
      return mapped(values as Int32Array, (value) => value)
  }
}

function floatToJson(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}

/** `Array.from` asks an iterator for every value, which takes several times as long. */
function mapped<T>(
  values: { readonly length: number; readonly [index: number]: T },
  toJson: (value: T) => unknown,
): unknown[] {
  const list = new Array<unknown>(values.length)
  for (let at = 0; at < values.length; at++) list[at] = toJson(values[at] as T)
  return list
}

function nest(elements: unknown[], shape: readonly number[]): unknown {
  if (shape.length === 0) return elements[0]
  if (shape.length === 1) return elements
  const [size = 0, ...inner] = shape
  const stride = elementCount(inner)
  const rows = new Array<unknown>(size)
  for (let row = 0; row < size; row++) rows[row] = nest(elements.slice(row * stride, (row + 1) * stride), inner)
  return rows
}
