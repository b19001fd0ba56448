/**
 * `TensorProto`: its bytes as a view where the file holds them in the form of memory (`raw_data`, packed floats), decoded where
 * it holds them as varints. Either way the number of bytes must be what type and shape say.
 */
import { dtypes, elementCount } from '#contracts/tensor.ts'
import type { ExternalData, OnnxTensor } from './model.ts'
import {
  exactly,
  fieldsOf,
  integerOf,
  integersOf,
  joined,
  notOnnx,
  payloadOf,
  textOf,
  type WireField,
  WireWriter,
} from './wire.ts'

const dims = 1
const dataType = 2
const segment = 3
const floatData = 4
const int32Data = 5
const stringData = 6
const int64Data = 7
const tensorName = 8
const rawData = 9
const doubleData = 10
const uint64Data = 11
const externalData = 13
const dataLocation = 14

const texts = dtypes.string.onnx
const mostRank = 16
const elementBytes = new Map<number, number>(Object.values(dtypes).map(({ onnx, bytes }) => [onnx, bytes]))

/** @throws {ServingError} 400 naming the tensor and what is wrong with it. */
export function readTensor(bytes: Uint8Array): OnnxTensor {
  const shape: number[] = []
  const strings: Uint8Array[] = []
  const values: WireField[] = []
  const rest: Uint8Array[] = []
  const location = new Map<string, string>()
  let [name, type, isExternal] = ['', 0, false]
  for (const field of fieldsOf(bytes)) {
    if (field.number === dims) for (const size of integersOf(field)) shape.push(exactly(size, 'a dimension'))
    else if (field.number === dataType) type = integerOf(field, 'an element type')
    else if (field.number === tensorName) name = textOf(field, 'the name of a tensor')
    else if (field.number === stringData) strings.push(payloadOf(field, 'a text of a tensor'))
    else if (field.number === dataLocation) isExternal = integerOf(field, 'a data location') === 1
    else if (field.number === externalData) readEntry(payloadOf(field, 'an entry of external data'), location)
    else if (field.number === segment) throw notOnnx('a tensor is stored in segments, which no version of ONNX defines')
    else if (isData(field.number)) values.push(field)
    else rest.push(field.raw)
  }
  if (shape.length > mostRank || shape.some((size) => size < 0))
    throw notOnnx(`the tensor "${name}" has the shape [${shape.join(', ')}]`)

  const tensor = { name, type, shape, rest }
  if (isExternal) return { ...tensor, bytes: new Uint8Array(), external: placeOf(name, location) }
  if (type === texts) {
    const count = elementCount(shape)
    if (strings.length !== count) throw notOnnx(`the tensor "${name}" has ${strings.length} texts instead of ${count}`)
    return { ...tensor, bytes: new Uint8Array(), texts: strings }
  }
  const data = dataOf(tensor, values)
  checkSize(tensor, data.byteLength)
  return { ...tensor, bytes: data }
}

/** @throws {ServingError} 400 where type and shape ask for another number of bytes. */
export function checkSize({ name, type, shape }: Pick<OnnxTensor, 'name' | 'type' | 'shape'>, came: number): void {
  const size = elementBytes.get(type)
  const expected = size === undefined ? came : elementCount(shape) * size
  if (came !== expected)
    throw notOnnx(`the tensor "${name}" of shape [${shape.join(', ')}] has ${came} bytes instead of ${expected}`)
}

export function writeTensor({ name, type, shape, bytes, texts: strings, external, rest }: OnnxTensor): WireWriter {
  const out = new WireWriter().integers(dims, shape).integer(dataType, type).text(tensorName, name)
  for (const text of strings ?? []) out.bytes(stringData, text)
  if (external) {
    const { location, offset, length } = external
    out.integer(dataLocation, 1).message(externalData, entry('location', location))
    out.message(externalData, entry('offset', String(offset)))
    if (length !== undefined) out.message(externalData, entry('length', String(length)))
  } else if (!strings) out.bytes(rawData, bytes)
  for (const field of rest) out.raw(field)
  return out
}

function isData(number: number): boolean {
  return [floatData, int32Data, int64Data, rawData, doubleData, uint64Data].includes(number)
}

function dataOf({ name, type }: Pick<OnnxTensor, 'name' | 'type'>, fields: readonly WireField[]): Uint8Array {
  const [first, ...others] = fields
  if (!first) return new Uint8Array()
  if (others.some(({ number }) => number !== first.number))
    throw notOnnx(`the tensor "${name}" holds its data in two forms at once`)
  if (first.number === rawData) return payloadOf(fields.at(-1)!, `the data of "${name}"`)
  if (first.number === floatData || first.number === doubleData) {
    if (others.length === 0) return first.bytes
    const out = new WireWriter()
    for (const field of fields) out.raw(field.bytes)
    return joined(out)
  }
  return integerData(name, type, fields)
}

/** Integers narrower than 32 bits, booleans and float16's words share `int32_data`. */
function integerData(name: string, type: number, fields: readonly WireField[]): Uint8Array {
  const size = elementBytes.get(type)
  if (size === undefined) throw notOnnx(`the tensor "${name}" of element type ${type} holds its data as integers`)
  let count = 0
  for (const field of fields) count += field.wire === 0 ? 1 : ends(field.bytes)
  const bytes = new Uint8Array(count * size)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const field of fields) {
    for (const value of integersOf(field)) {
      if (size === 8) view.setBigInt64(at, value, true)
      else if (size === 4) view.setInt32(at, Number(BigInt.asIntN(32, value)), true)
      else if (size === 2) view.setInt16(at, Number(BigInt.asIntN(16, value)), true)
      else view.setInt8(at, Number(BigInt.asIntN(8, value)))
      at += size
    }
  }
  return bytes
}

/** How many varints end within these bytes. */
function ends(bytes: Uint8Array): number {
  let count = 0
  for (const byte of bytes) if (byte < 128) count += 1
  return count
}

function readEntry(bytes: Uint8Array, entries: Map<string, string>): void {
  let [key, value] = ['', '']
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) key = textOf(field, 'a key of external data')
    if (field.number === 2) value = textOf(field, 'a value of external data')
  }
  entries.set(key, value)
}

function placeOf(name: string, entries: ReadonlyMap<string, string>): ExternalData {
  const number = (key: string) => {
    const text = entries.get(key)
    if (text === undefined) return undefined
    if (!/^\d{1,15}$/.test(text)) throw notOnnx(`the external data of "${name}" has the ${key} "${text}"`)
    return Number(text)
  }
  const location = entries.get('location')
  if (!location) throw notOnnx(`the external data of "${name}" has no location`)
  const length = number('length')
  return { location, offset: number('offset') ?? 0, ...(length === undefined ? {} : { length }) }
}

function entry(key: string, value: string): WireWriter {
  return new WireWriter().text(1, key).text(2, value)
}
