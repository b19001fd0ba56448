/**
 * PNG to RGB: every colour type, bit depth and interlacing. Alpha and transparent colours are dropped, and 16 bits are cut to
 * their upper 8, as Pillow's `convert("RGB")` does.
 *
 * The platform's own zlib inflates the data, and stops at the size that the header promises: a small file can unpack to
 * gigabytes otherwise.
 */
import { isServingError } from '#contracts/errors.ts'
import { exifOrientation } from './exif.ts'
import { orient } from './orient.ts'
import { badPicture, type Picture } from './picture.ts'
import { type PngHeader, pngChunks } from './png-chunks.ts'
import { unfilter } from './png-filter.ts'

const samplesByColorType: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }
/** Adam7: first column and row, and the steps between them. */
const interlacePasses = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const
const wholePicture = [[0, 0, 1, 1]] as const

interface Pass {
  columns: number
  rows: number
  rowBytes: number
  place: readonly [number, number, number, number]
}

/** Resolves to the upright picture. */
export async function decodePng(bytes: Uint8Array, header: PngHeader): Promise<Picture> {
  const { width, height, depth, colorType } = header
  const data: Uint8Array[] = []
  let palette: Uint8Array | undefined
  let orientation = 1
  for (const chunk of pngChunks(bytes)) {
    if (chunk.type === 'IDAT') data.push(chunk.data)
    if (chunk.type === 'PLTE') palette = chunk.data
    if (chunk.type === 'eXIf') orientation = exifOrientation(chunk.data)
  }
  if (colorType === 3 && !palette) throw badPicture('the PNG file has no palette.')

  const bits = depth * samplesByColorType[colorType]!
  const passes = passesOf(header, bits)
  const scanlines = await inflate(
    data,
    passes.reduce((sum, pass) => sum + pass.rows * (1 + pass.rowBytes), 0),
  )
  const rgb = new Uint8Array(width * height * 3)
  const pixelBytes = Math.max(1, bits >> 3)
  let at = 0
  for (const { columns, rows, rowBytes, place } of passes) {
    let above = new Uint8Array(rowBytes)
    const [firstX, firstY, stepX, stepY] = place
    for (let row = 0; row < rows; row++) {
      const line = scanlines.subarray(at + 1, at + 1 + rowBytes)
      unfilter(scanlines[at]!, line, above, pixelBytes)
      writeRow(line, columns, header, palette, rgb, 3 * ((firstY + row * stepY) * width + firstX), 3 * stepX)
      above = line
      at += 1 + rowBytes
    }
  }
  return orient({ width, height, rgb }, orientation)
}

function passesOf({ width, height, interlaced }: PngHeader, bits: number): Pass[] {
  return (interlaced ? interlacePasses : wholePicture)
    .map((place) => {
      const [firstX, firstY, stepX, stepY] = place
      const [columns, rows] = [Math.ceil((width - firstX) / stepX), Math.ceil((height - firstY) / stepY)]
      return { columns, rows, rowBytes: Math.ceil((columns * bits) / 8), place }
    })
    .filter(({ columns, rows }) => columns > 0 && rows > 0)
}

/** Resolves to exactly `sizeBytes`; what a file holds beyond that is never unpacked. */
async function inflate(parts: readonly Uint8Array[], sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const inflated = new Uint8Array(sizeBytes)
  const source = new Blob([...parts] as BlobPart[]).stream().pipeThrough(new DecompressionStream('deflate'))
  const reader = source.getReader()
  let at = 0
  try {
    while (at < sizeBytes) {
      const { done, value } = await reader.read()
      if (done) throw badPicture('the PNG file ends before its last row.')
      inflated.set(value.subarray(0, sizeBytes - at), at)
      at += value.byteLength
    }
  } catch (error) {
    if (isServingError(error)) throw error
    throw badPicture('the PNG file holds broken compressed data.')
  } finally {
    await reader.cancel().catch(() => undefined)
  }
  return inflated
}

function writeRow(
  line: Uint8Array,
  columns: number,
  { depth, colorType }: PngHeader,
  palette: Uint8Array | undefined,
  rgb: Uint8Array,
  start: number,
  step: number,
): void {
  const samples = samplesByColorType[colorType]!
  const sampleBytes = depth >> 3
  const scale = colorType === 3 ? 1 : 255 / (2 ** depth - 1)
  for (let column = 0; column < columns; column++) {
    const to = start + column * step
    if (colorType === 2 || colorType === 6) {
      const from = column * samples * sampleBytes
      for (let channel = 0; channel < 3; channel++) rgb[to + channel] = line[from + channel * sampleBytes]!
      continue
    }
    const value = depth >= 8 ? line[column * samples * sampleBytes]! : packed(line, column, depth) * scale
    for (let channel = 0; channel < 3; channel++)
      rgb[to + channel] = palette && colorType === 3 ? (palette[value * 3 + channel] ?? 0) : value
  }
}

/** A sample of less than a byte; the first one lies in the highest bits. */
function packed(line: Uint8Array, index: number, depth: number): number {
  const bit = index * depth
  return (line[bit >> 3]! >> (8 - depth - (bit & 7))) & (2 ** depth - 1)
}
