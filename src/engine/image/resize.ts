/**
 * Resampling with Pillow's results, since image models are trained on pictures that Pillow has resized.
 *
 * A filter is stretched over as many source pixels as one target pixel covers, so that scaling down averages instead of
 * skipping. Rows first, then columns, with a rounding to 8 bits between them; weights are integers of 22 fractional bits.
 */
import type { Picture } from './picture.ts'

/** Pillow's numbers for the filters, as `preprocessor_config.json` holds them. */
export const resamples = { nearest: 0, lanczos: 1, bilinear: 2, bicubic: 3 } as const
export type Resample = (typeof resamples)[keyof typeof resamples]

interface Filter {
  /** Half of the filter's width, in source pixels at equal scale. */
  support: number
  weight(distance: number): number
}

const filters: Readonly<Record<Exclude<Resample, 0>, Filter>> = {
  1: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
  2: { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  3: { support: 2, weight: cubic },
}
const precisionBits = 22

/** Weights of the source pixels that one target pixel is made of. */
interface Taps {
  first: number
  weights: Int32Array
}

export function resize(picture: Picture, width: number, height: number, resample: Resample): Picture {
  if (resample === resamples.nearest) return pickNearest(picture, width, height)
  const filter = filters[resample]
  const wide = width === picture.width ? picture : resizeRows(picture, width, filter)
  return height === picture.height ? wide : resizeColumns(wide, height, filter)
}

function resizeRows(picture: Picture, width: number, filter: Filter): Picture {
  const { height } = picture
  const rgb = new Uint8ClampedArray(width * height * 3)
  for (const [x, { first, weights }] of tapsOf(picture.width, width, filter).entries()) {
    for (let y = 0; y < height; y++) {
      const from = 3 * (y * picture.width + first)
      blend(picture.rgb, from, 3, weights, rgb, 3 * (y * width + x))
    }
  }
  return { width, height, rgb: new Uint8Array(rgb.buffer) }
}

function resizeColumns(picture: Picture, height: number, filter: Filter): Picture {
  const { width } = picture
  const rgb = new Uint8ClampedArray(width * height * 3)
  for (const [y, { first, weights }] of tapsOf(picture.height, height, filter).entries()) {
    for (let x = 0; x < width; x++) {
      blend(picture.rgb, 3 * (first * width + x), 3 * width, weights, rgb, 3 * (y * width + x))
    }
  }
  return { width, height, rgb: new Uint8Array(rgb.buffer) }
}

function blend(
  source: Uint8Array,
  from: number,
  step: number,
  weights: Int32Array,
  target: Uint8ClampedArray,
  to: number,
): void {
  const half = 1 << (precisionBits - 1)
  let [red, green, blue] = [half, half, half]
  for (let tap = 0, at = from; tap < weights.length; tap++, at += step) {
    const weight = weights[tap]!
    red += source[at]! * weight
    green += source[at + 1]! * weight
    blue += source[at + 2]! * weight
  }
  target[to] = red >> precisionBits
  target[to + 1] = green >> precisionBits
  target[to + 2] = blue >> precisionBits
}

function tapsOf(sourceSize: number, targetSize: number, filter: Filter): Taps[] {
  const scale = sourceSize / targetSize
  const stretch = Math.max(scale, 1)
  const reach = filter.support * stretch
  return Array.from({ length: targetSize }, (_, index) => {
    const center = (index + 0.5) * scale
    const first = Math.max(Math.trunc(center - reach + 0.5), 0)
    const end = Math.min(Math.trunc(center + reach + 0.5), sourceSize)
    const exact = Array.from({ length: end - first }, (_, tap) =>
      filter.weight((tap + first - center + 0.5) * (1 / stretch)),
    )
    const total = exact.reduce((sum, weight) => sum + weight, 0)
    return { first, weights: Int32Array.from(exact, (weight) => roundHalfAway((weight / total) * 2 ** precisionBits)) }
  })
}

function pickNearest(picture: Picture, width: number, height: number): Picture {
  const columns = Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * picture.width) / width))
  const rgb = new Uint8Array(width * height * 3)
  for (let y = 0, to = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * picture.height) / height) * picture.width
    for (const column of columns) {
      const from = 3 * (row + column)
      rgb[to++] = picture.rgb[from]!
      rgb[to++] = picture.rgb[from + 1]!
      rgb[to++] = picture.rgb[from + 2]!
    }
  }
  return { width, height, rgb }
}

function roundHalfAway(value: number): number {
  return Math.trunc(value < 0 ? value - 0.5 : value + 0.5)
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

/** The cubic with a = −0.5. */
function cubic(x: number): number {
  const a = -0.5
  const d = Math.abs(x)
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
}
