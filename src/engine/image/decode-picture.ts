/**
 * From the bytes of a request to an upright RGB picture. The size is read from the header and refused there when it is too
 * large: a file of a few kilobytes can decode to gigabytes.
 */
import { limits } from '#contracts/limits.ts'
import { decodeJpeg } from './jpeg.ts'
import { readJpegHeader } from './jpeg-header.ts'
import { orient } from './orient.ts'
import { badPicture, type Picture } from './picture.ts'
import { decodePng } from './png.ts'
import { readPngHeader } from './png-chunks.ts'

/** How other formats begin; a dot fits any byte. */
const otherFormats: readonly (readonly [name: string, beginning: RegExp])[] = [
  ['GIF', /^GIF8[79]a/],
  ['WebP', /^RIFF....WEBP/s],
  ['BMP', /^BM/],
  ['TIFF', /^(II\*\0|MM\0\*)/],
  ['AVIF', /^....ftypavi[fs]/s],
  ['HEIC', /^....ftyp(hei[cxms]|mif1)/s],
  ['SVG', /^\s*<(\?xml|svg)/],
  ['PDF', /^%PDF/],
]

export interface DecodePictureOptions {
  /** The JPEG decoder; without it only PNG is accepted. */
  jpeg: WebAssembly.Module | undefined
  maxPixels?: number
}

/** @throws {ServingError} 400 that says what is wrong with the picture. */
export async function decodePicture(bytes: Uint8Array, options: DecodePictureOptions): Promise<Picture> {
  const { jpeg, maxPixels = limits.imagePixels } = options
  if (startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) {
    const header = readPngHeader(bytes)
    requireSize(header, maxPixels)
    return decodePng(bytes, header)
  }
  if (startsWith(bytes, [0xff, 0xd8, 0xff])) {
    if (!jpeg) throw badPicture('this endpoint has no JPEG decoder; PNG is accepted.')
    const header = readJpegHeader(bytes)
    requireSize(header, maxPixels)
    return orient(await decodeJpeg(bytes, jpeg), header.orientation)
  }
  throw badPicture(describeOther(bytes))
}

function requireSize({ width, height }: { width: number; height: number }, maxPixels: number): void {
  if (width === 0 || height === 0) throw badPicture(`it has ${width} × ${height} pixels.`)
  if (width * height > maxPixels) {
    throw badPicture(`it has ${width} × ${height} pixels; at most ${maxPixels} are accepted.`)
  }
}

function describeOther(bytes: Uint8Array): string {
  if (bytes.byteLength === 0) return 'it is empty.'
  const beginning = String.fromCharCode(...bytes.subarray(0, 64))
  const known = otherFormats.find(([, pattern]) => pattern.test(beginning))
  const what = known ? `it is a ${known[0]} picture` : 'its format is unknown'
  return `${what}; PNG and JPEG are accepted.`
}

function startsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return beginning.every((byte, index) => bytes[index] === byte)
}
