/** As much of the protobuf wire format as it takes to look into an ONNX file: field by field, numbers and bytes. */
import type { ByteCursor } from './byte-cursor.ts'

export interface WireField {
  number: number
  /** The cursor stands at its beginning. */
  sizeBytes: number
}

/** Each length-delimited field up to a position; whatever its reader leaves of one is skipped, and so are all others. */
export async function* fieldsOf(cursor: ByteCursor, end: number): AsyncGenerator<WireField> {
  while (cursor.at < end) {
    const tag = await cursor.varint()
    const wire = tag % 8
    if (wire === 0) await cursor.varint()
    else if (wire === 1) await cursor.moveTo(cursor.at + 8)
    else if (wire === 5) await cursor.moveTo(cursor.at + 4)
    else if (wire === 2) {
      const sizeBytes = await cursor.varint()
      const next = cursor.at + sizeBytes
      if (next > end) throw new RangeError('a field ends after its message')
      yield { number: Math.floor(tag / 8), sizeBytes }
      await cursor.moveTo(next)
    } else throw new RangeError('no such wire type')
  }
}

export type Message = ReadonlyMap<number, readonly (number | Uint8Array)[]>

/** A small message in memory. @throws {RangeError} where it is none. */
export function messageOf(bytes: Uint8Array): Message {
  const fields = new Map<number, (number | Uint8Array)[]>()
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('a message ends within a number')
      value += (byte % 128) * factor
      if (byte < 128) return value
    }
  }
  while (at < bytes.byteLength) {
    const tag = varint()
    let value: number | Uint8Array
    if (tag % 8 === 0) value = varint()
    else if (tag % 8 === 2) {
      const sizeBytes = varint()
      value = bytes.subarray(at, at + sizeBytes)
      at += sizeBytes
    } else throw new RangeError('no field of these messages has this wire type')
    const number = Math.floor(tag / 8)
    fields.set(number, [...(fields.get(number) ?? []), value])
  }
  return fields
}

export function bytesIn(message: Message, number: number): Uint8Array | undefined {
  const value = message.get(number)?.[0]
  return value instanceof Uint8Array ? value : undefined
}

export function numberIn(message: Message, number: number): number | undefined {
  const value = message.get(number)?.[0]
  return typeof value === 'number' ? value : undefined
}

export function textIn(message: Message, number: number): string {
  return new TextDecoder().decode(bytesIn(message, number))
}
