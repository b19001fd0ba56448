/** From a picture to the numbers of a graph's input: resize, crop, scale, normalise, lay out. */
import { modelFailed } from '#contracts/errors.ts'
import type { Port } from '../ort/ports.ts'
import type { Picture } from './picture.ts'
import type { Preprocessor, ResizeRule } from './preprocessor.ts'
import { resize } from './resize.ts'

/** What the graph's input says of its layout; sizes are undefined where any fits. */
export interface PixelLayout {
  channelsLast: boolean
  /** 1 for grey, 3 for colour. */
  channels: 1 | 3
  width: number | undefined
  height: number | undefined
}

/** Reads the layout `[batch, channels, height, width]` or `[batch, height, width, channels]` from the graph. */
export function layoutOf({ name, shape }: Port): PixelLayout {
  if (shape.length !== 4) {
    throw modelFailed(`The graph's input "${name}" has shape [${shape.join(', ')}]; a picture needs four dimensions.`)
  }
  const channelsLast = isChannels(shape[3]) && !isChannels(shape[1])
  const [channels, height, width] = channelsLast ? [shape[3], shape[1], shape[2]] : [shape[1], shape[2], shape[3]]
  if (typeof channels === 'number' && !isChannels(channels)) {
    throw modelFailed(`The graph's input "${name}" has ${channels} channels; pictures have 1 or 3.`)
  }
  const sizeOf = (size: number | string | undefined) => (typeof size === 'number' ? size : undefined)
  return { channelsLast, channels: channels === 1 ? 1 : 3, width: sizeOf(width), height: sizeOf(height) }
}

export interface Pixels {
  /** Without the batch dimension. */
  shape: readonly number[]
  values: Float32Array<ArrayBuffer>
}

export function pixelsOf(picture: Picture, preprocessor: Preprocessor, layout: PixelLayout): Pixels {
  const sized = crop(scaled(picture, preprocessor, layout), preprocessor.crop)
  const { width, height } = sized
  const { channels, channelsLast } = layout
  const source = channels === 1 ? luma(sized.rgb) : sized.rgb
  const values = new Float32Array(channels * width * height)
  const plane = width * height
  for (let channel = 0; channel < channels; channel++) {
    const from = channels === 3 && preprocessor.channelOrder === 'BGR' ? 2 - channel : channel
    const table = tableOf(preprocessor, channel)
    for (let pixel = 0; pixel < plane; pixel++) {
      const to = channelsLast ? pixel * channels + channel : channel * plane + pixel
      values[to] = table[source[pixel * channels + from]!]!
    }
  }
  return { shape: channelsLast ? [height, width, channels] : [channels, height, width], values }
}

function scaled(picture: Picture, { resize: rule, crop, resample }: Preprocessor, layout: PixelLayout): Picture {
  const graph = { width: layout.width ?? picture.width, height: layout.height ?? picture.height }
  const { width, height } = rule ? targetOf(picture, rule) : crop ? picture : graph
  return width === picture.width && height === picture.height ? picture : resize(picture, width, height, resample)
}

function targetOf({ width, height }: Picture, rule: ResizeRule): { width: number; height: number } {
  if ('width' in rule) return rule
  const proportion = Math.max(width, height) / Math.min(width, height)
  // As DETR's processor has it: the shorter edge gives way where the longer one would be too long.
  const short = Math.min(rule.shortestEdge, Math.round((rule.longestEdge ?? Number.POSITIVE_INFINITY) / proportion))
  const long = Math.trunc(short * proportion)
  return width <= height ? { width: short, height: long } : { width: long, height: short }
}

/** The middle of the picture; black where it is smaller than the crop. */
function crop(picture: Picture, size: { width: number; height: number } | null): Picture {
  if (!size || (size.width === picture.width && size.height === picture.height)) return picture
  const { width, height } = size
  const [left, top] = [Math.floor((picture.width - width) / 2), Math.floor((picture.height - height) / 2)]
  const rgb = new Uint8Array(width * height * 3)
  const [firstX, endX] = [Math.max(0, -left), Math.min(width, picture.width - left)]
  for (let y = Math.max(0, -top); y < Math.min(height, picture.height - top); y++) {
    const row = 3 * ((y + top) * picture.width + left)
    rgb.set(picture.rgb.subarray(row + 3 * firstX, row + 3 * endX), 3 * (y * width + firstX))
  }
  return { width, height, rgb }
}

/** Pillow's `convert("L")`: ITU-R 601-2 in 16-bit fixed point. */
function luma(rgb: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: rgb.length / 3 }, (_, pixel) => {
    const at = 3 * pixel
    return (rgb[at]! * 19_595 + rgb[at + 1]! * 38_470 + rgb[at + 2]! * 7_471 + 0x8000) >> 16
  })
}

/** The value of each byte, rounded to float32 after each step as the image processors do. */
function tableOf({ rescale, mean, std }: Preprocessor, channel: number): Float32Array {
  const [subtract, divide] = [Math.fround(mean[channel]!), Math.fround(std[channel]!)]
  return Float32Array.from({ length: 256 }, (_, byte) => Math.fround(Math.fround(byte * rescale) - subtract) / divide)
}

function isChannels(size: number | string | undefined): boolean {
  return size === 1 || size === 3
}
