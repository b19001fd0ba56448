/**
 * The protobuf wire format, read and written in memory. Reading makes views, never copies: the payload of a gigabyte of
 * weights is the same memory as the file. Writing makes a list of parts for the same reason.
 */
import { badRequest, type ServingError } from '#contracts/errors.ts'

export interface WireField {
  number: number
  wire: 0 | 1 | 2 | 5
  /** The value of a varint, unsigned; 0 for other wire types. */
  integer: bigint
  /** The payload of the other wire types. */
  bytes: Uint8Array
  /** The whole field with its tag, for fields that are passed on as they are. */
  raw: Uint8Array
}

const nothing: Uint8Array = new Uint8Array()

/** What is wrong with an ONNX file, as the error that its importer sees. */
export function notOnnx(problem: string): ServingError {
  return badRequest(`The file is not a usable ONNX model: ${problem}.`)
}

/** Every field of a message, in order. @throws {ServingError} 400 where the bytes are no message. */
export function* fieldsOf(bytes: Uint8Array): Generator<WireField> {
  const cursor = { at: 0 }
  while (cursor.at < bytes.byteLength) {
    const start = cursor.at
    const tag = smallVarint(bytes, cursor, 'a field tag')
    const [number, wire] = [Math.floor(tag / 8), tag % 8]
    if (number === 0) throw notOnnx('a field has the number 0')
    let integer = 0n
    let payload: Uint8Array = nothing
    if (wire === 0) integer = varint(bytes, cursor)
    else if (wire === 1) payload = taken(bytes, cursor, 8)
    else if (wire === 5) payload = taken(bytes, cursor, 4)
    else if (wire === 2) payload = taken(bytes, cursor, smallVarint(bytes, cursor, 'a length'))
    else throw notOnnx(`field ${number} has the wire type ${wire}, which ONNX does not use`)
    yield { number, wire, integer, bytes: payload, raw: bytes.subarray(start, cursor.at) }
  }
}

/** The varints of a packed field, or the one of an unpacked field, as signed 64-bit integers. */
export function* integersOf(field: WireField): Generator<bigint> {
  if (field.wire === 0) {
    yield BigInt.asIntN(64, field.integer)
    return
  }
  if (field.wire !== 2) throw notOnnx(`field ${field.number} should hold integers`)
  const cursor = { at: 0 }
  while (cursor.at < field.bytes.byteLength) yield BigInt.asIntN(64, varint(field.bytes, cursor))
}

/** @throws {ServingError} 400 where a length-delimited field was expected and another came. */
export function payloadOf(field: WireField, what: string): Uint8Array {
  if (field.wire !== 2) throw notOnnx(`${what} has the wire type ${field.wire} instead of 2`)
  return field.bytes
}

/** Text that must be UTF-8: names are compared and shown, so a broken one is refused. */
export function textOf(field: WireField, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payloadOf(field, what))
  } catch (error) {
    if (error instanceof TypeError) throw notOnnx(`${what} is not valid UTF-8`)
    throw error
  }
}

/** A signed integer that a JavaScript number holds exactly. */
export function integerOf(field: WireField, what: string): number {
  if (field.wire !== 0) throw notOnnx(`${what} has the wire type ${field.wire} instead of 0`)
  return exactly(BigInt.asIntN(64, field.integer), what)
}

export function exactly(value: bigint, what: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw notOnnx(`${what} is ${value}, beyond 2^53`)
  return number
}

/** A message in the making: its parts in order, none copied. */
export class WireWriter {
  readonly parts: Uint8Array[] = []
  sizeBytes = 0

  raw(bytes: Uint8Array): this {
    if (bytes.byteLength > 0) this.parts.push(bytes)
    this.sizeBytes += bytes.byteLength
    return this
  }

  integer(number: number, value: number | bigint): this {
    return this.raw(varintBytes(BigInt(number) << 3n)).raw(varintBytes(BigInt.asUintN(64, BigInt(value))))
  }

  float(number: number, value: number): this {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setFloat32(0, value, true)
    return this.raw(varintBytes((BigInt(number) << 3n) | 5n)).raw(bytes)
  }

  bytes(number: number, value: Uint8Array): this {
    this.raw(varintBytes((BigInt(number) << 3n) | 2n)).raw(varintBytes(BigInt(value.byteLength)))
    return this.raw(value)
  }

  text(number: number, value: string): this {
    return this.bytes(number, new TextEncoder().encode(value))
  }

  message(number: number, value: WireWriter): this {
    this.raw(varintBytes((BigInt(number) << 3n) | 2n)).raw(varintBytes(BigInt(value.sizeBytes)))
    for (const part of value.parts) this.raw(part)
    return this
  }

  integers(number: number, values: readonly (number | bigint)[]): this {
    const packed = new WireWriter()
    for (const value of values) packed.raw(varintBytes(BigInt.asUintN(64, BigInt(value))))
    return values.length === 0 ? this : this.message(number, packed)
  }
}

/** One buffer of all parts. */
export function joined({
  parts,
  sizeBytes,
}: {
  parts: readonly Uint8Array[]
  sizeBytes: number
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes)
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

interface Cursor {
  at: number
}

function varint(bytes: Uint8Array, cursor: Cursor): bigint {
  let low = 0
  for (let digit = 0; digit < 7; digit++) {
    const byte = byteAt(bytes, cursor)
    low += (byte % 128) * 128 ** digit
    if (byte < 128) return BigInt(low)
  }
  let value = BigInt(low)
  for (let digit = 7n; digit < 10n; digit++) {
    const byte = byteAt(bytes, cursor)
    value += BigInt(byte % 128) << (7n * digit)
    if (byte < 128) return BigInt.asUintN(64, value)
  }
  throw notOnnx('a number has more than ten bytes')
}

function smallVarint(bytes: Uint8Array, cursor: Cursor, what: string): number {
  let value = 0
  for (let digit = 0; digit < 7; digit++) {
    const byte = byteAt(bytes, cursor)
    value += (byte % 128) * 128 ** digit
    if (byte < 128) return value
  }
  throw notOnnx(`${what} has more than seven bytes`)
}

function byteAt(bytes: Uint8Array, cursor: Cursor): number {
  const byte = bytes[cursor.at++]
  if (byte === undefined) throw notOnnx('the bytes end within a number')
  return byte
}

function taken(bytes: Uint8Array, cursor: Cursor, sizeBytes: number): Uint8Array {
  const end = cursor.at + sizeBytes
  if (end > bytes.byteLength) throw notOnnx('a field ends after its message')
  const part = bytes.subarray(cursor.at, end)
  cursor.at = end
  return part
}

function varintBytes(value: bigint): Uint8Array {
  if (value < 128n) return Uint8Array.of(Number(value))
  const bytes: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128)
  return Uint8Array.from([...bytes, Number(rest)])
}
