/** The size, colours and orientation of a JPEG file, from the segments before its data. */
import { exifOrientation } from './exif.ts'
import { badPicture } from './picture.ts'

export interface JpegHeader {
  width: number
  height: number
  /** EXIF orientation, 1 to 8; 1 is upright. */
  orientation: number
}

const app1 = 0xe1
const startOfScan = 0xda
const exifPrefix = 'Exif\0\0'

/** @throws {ServingError} 400 for a file that is cut, or of a kind that the decoder does not have. */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let orientation = 1
  let frame: { width: number; height: number } | undefined
  for (let at = 2; ; ) {
    if (at + 4 > bytes.byteLength) throw badPicture('the JPEG file is truncated.')
    if (bytes[at] !== 0xff) throw badPicture('the JPEG file is corrupt.')
    const marker = bytes[at + 1]!
    // Fill bytes, and markers that stand alone.
    if (marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      at += marker === 0xff ? 1 : 2
      continue
    }
    if (marker === startOfScan) break
    const end = at + 2 + view.getUint16(at + 2)
    if (end > bytes.byteLength) throw badPicture('the JPEG file is truncated.')
    const segment = bytes.subarray(at + 4, end)
    if (isFrame(marker)) frame = readFrame(segment)
    if (marker === app1 && text(segment.subarray(0, 6)) === exifPrefix)
      orientation = exifOrientation(segment.subarray(6))
    at = end
  }
  if (!frame) throw badPicture('the JPEG file has no frame.')
  if (!hasEnd(bytes)) throw badPicture('the JPEG file is truncated.')
  return { ...frame, orientation }
}

/** SOF0 to SOF15 without the tables (DHT, JPG, DAC) that share the range. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

function readFrame(segment: Uint8Array): { width: number; height: number } {
  if (segment.byteLength < 6) throw badPicture('the JPEG file is corrupt.')
  const view = new DataView(segment.buffer, segment.byteOffset)
  const [bits, components] = [segment[0]!, segment[5]!]
  if (bits !== 8) throw badPicture(`it is a JPEG picture of ${bits} bits; 8 bits are accepted.`)
  if (components === 4) throw badPicture('it is a CMYK picture; RGB and grey ones are accepted.')
  return { width: view.getUint16(3), height: view.getUint16(1) }
}

/** Inside of scan data a 0xff is followed by 0, so the end marker cannot occur by chance. */
function hasEnd(bytes: Uint8Array): boolean {
  for (let at = bytes.lastIndexOf(0xff); at > 0; at = bytes.lastIndexOf(0xff, at - 1))
    if (bytes[at + 1] === 0xd9) return true
  return false
}

function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
