/** The chunks of a PNG file, each checked against its CRC, and what its header says. */
import { badPicture } from './picture.ts'

export interface PngHeader {
  width: number
  height: number
  depth: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  colorType: number
  interlaced: boolean
}

export interface PngChunk {
  type: string
  data: Uint8Array
}

const signatureBytes = 8
const depthsByColorType: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
}

/** @throws {ServingError} 400 for a header that the format does not allow. */
export function readPngHeader(bytes: Uint8Array): PngHeader {
  const first = pngChunks(bytes).next()
  if (first.done || first.value.type !== 'IHDR' || first.value.data.byteLength !== 13) {
    throw badPicture('the PNG file does not begin with its header.')
  }
  const { data } = first.value
  const view = new DataView(data.buffer, data.byteOffset)
  const [width, height] = [view.getUint32(0), view.getUint32(4)]
  const [depth, colorType, compression, filter, interlace] = data.subarray(8) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ]
  if (!depthsByColorType[colorType]?.includes(depth)) {
    throw badPicture(`the PNG file has colour type ${colorType} with ${depth} bits, which does not exist.`)
  }
  if (compression !== 0 || filter !== 0 || interlace > 1) throw badPicture('the PNG file uses an unknown method.')
  return { width, height, depth, colorType, interlaced: interlace === 1 }
}

/** Yields the chunks up to `IEND`. @throws {ServingError} 400 where the file ends early or a CRC does not fit. */
export function* pngChunks(bytes: Uint8Array): Generator<PngChunk, void> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = signatureBytes
  for (;;) {
    if (at + 12 > bytes.byteLength) throw badPicture('the PNG file is truncated.')
    const length = view.getUint32(at)
    const end = at + 8 + length
    if (end + 4 > bytes.byteLength) throw badPicture('the PNG file is truncated.')
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end))
      throw badPicture(`the PNG file is corrupt in its ${type} chunk.`)
    if (type === 'IEND') return
    yield { type, data: bytes.subarray(at + 8, end) }
    at = end + 4
  }
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1
  return crc
})

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
