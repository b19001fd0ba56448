/** What `preprocessor_config.json` asks for, brought into one form. Without that file a graph gets values from 0 to 255. */
import { badRequest } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson } from '../read-artifact.ts'
import { type Resample, resamples } from './resize.ts'

export interface Preprocessor {
  /** Null keeps the picture's size, or takes the graph's where that is fixed. */
  resize: ResizeRule | null
  /** Cut from the middle after resizing. */
  crop: { width: number; height: number } | null
  resample: Resample
  /** Multiplies each byte. */
  rescale: number
  /** Per channel, in the picture's RGB order. */
  mean: readonly number[]
  std: readonly number[]
  channelOrder: 'RGB' | 'BGR'
  /** Grey value around a picture that keeps its proportions within `resize`; null where it is stretched instead. */
  letterbox: number | null
}

export type ResizeRule = { width: number; height: number } | { shortestEdge: number; longestEdge?: number }

const file = 'preprocessor_config.json'
const untouched: Preprocessor = {
  resize: null,
  crop: null,
  resample: resamples.bilinear,
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  channelOrder: 'RGB',
  letterbox: null,
}

/** No image processor of Hugging Face has a letterbox, so what holds where the file does not say is the default of Pillow. */
const letterboxResample = resamples.bicubic

export async function readPreprocessor(reader: ArtifactReader): Promise<Preprocessor> {
  const config = await readJson(reader, file)
  if (!config) return untouched
  const normalize = config.do_normalize ?? config.image_mean !== undefined
  const letterbox = letterboxOf(config.resize_mode)
  const reversed = config.channel_order === 'BGR' || config.do_flip_channel_order === true
  return {
    ...sizesOf(config),
    resample: resampleOf(config.resample, letterbox === null ? resamples.bilinear : letterboxResample),
    rescale: config.do_rescale === false ? 1 : numberOr(config.rescale_factor, 1 / 255),
    mean: normalize ? channelsOf(config, 'image_mean') : untouched.mean,
    std: normalize ? channelsOf(config, 'image_std') : untouched.std,
    channelOrder: reversed ? 'BGR' : 'RGB',
    letterbox,
  }
}

function sizesOf(config: JsonObject): Pick<Preprocessor, 'resize' | 'crop'> {
  const crops = config.do_center_crop === true
  const resize = config.do_resize === false ? null : ruleOf(config.size, crops)
  const crop = crops ? ruleOf(config.crop_size, false) : null
  if (crop && !('width' in crop)) throw unsupported('crop_size', config.crop_size)

  // ConvNeXt: small targets are cut from the middle of a picture that is larger by this factor.
  const cropPart = config.crop_pct
  if (typeof cropPart === 'number' && resize && 'shortestEdge' in resize && !crops) {
    const edge = resize.shortestEdge
    const square = { width: edge, height: edge }
    return edge < 384
      ? { resize: { shortestEdge: Math.trunc(edge / cropPart) }, crop: square }
      : { resize: square, crop: null }
  }
  return { resize, crop }
}

/** A plain number is an edge: the shortest one where a crop follows, else both. */
function ruleOf(size: unknown, crops: boolean): ResizeRule | null {
  if (size === undefined || size === null) return null
  if (isEdge(size)) return crops ? { shortestEdge: size } : { width: size, height: size }
  if (isObject(size)) {
    const { width, height, shortest_edge: shortestEdge, longest_edge: longestEdge } = size
    if (isEdge(width) && isEdge(height)) return { width, height }
    if (isEdge(shortestEdge) && longestEdge === undefined) return { shortestEdge }
    if (isEdge(shortestEdge) && isEdge(longestEdge)) return { shortestEdge, longestEdge }
  }
  throw unsupported('size', size)
}

/** `letterbox, top left, pad value 114`. */
function letterboxOf(mode: unknown): number | null {
  if (typeof mode !== 'string' || !mode.startsWith('letterbox')) return null
  const [, value] = /pad value (\d+)/.exec(mode) ?? []
  if (mode.includes('center') || Number(value ?? 0) > 255) throw unsupported('resize_mode', mode)
  return Number(value ?? 0)
}

function resampleOf(value: unknown, fallback: Resample): Resample {
  if (value === undefined || value === null) return fallback
  const resample = Object.values(resamples).find((known) => known === value)
  if (resample === undefined) throw unsupported('resample', value)
  return resample
}

function channelsOf(config: JsonObject, key: string): number[] {
  const value = config[key] ?? 0.5
  const list: unknown[] = Array.isArray(value) ? value : [value]
  const channels = list.filter((one) => typeof one === 'number')
  const [first, ...others] = channels
  if (first === undefined || channels.length !== list.length || ![0, 2].includes(others.length))
    throw unsupported(key, value)
  return others.length === 0 ? [first, first, first] : channels
}

function isEdge(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback
}

function unsupported(key: string, value: unknown) {
  return badRequest(`The model's file "${file}" has a ${key} that glim does not know: ${JSON.stringify(value)}.`)
}
