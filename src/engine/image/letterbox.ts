/** A picture that keeps its proportions: scaled to fit, at the top left of an area of one colour. */
import type { Picture } from './picture.ts'
import { type Resample, resize } from './resize.ts'

export interface Letterboxed {
  picture: Picture
  /** Pixels of the result per pixel of the original. */
  scale: number
}

/** @param fill the grey value of what the picture does not cover. */
export function letterbox(
  picture: Picture,
  { width, height }: { width: number; height: number },
  resample: Resample,
  fill: number,
): Letterboxed {
  const scale = Math.min(width / picture.width, height / picture.height)
  const scaledWidth = Math.max(1, Math.trunc(picture.width * scale))
  const scaledHeight = Math.max(1, Math.trunc(picture.height * scale))
  const scaled = resize(picture, scaledWidth, scaledHeight, resample)
  const rgb = new Uint8Array(width * height * 3).fill(fill)
  for (let y = 0; y < scaledHeight; y++) {
    rgb.set(scaled.rgb.subarray(3 * y * scaledWidth, 3 * (y + 1) * scaledWidth), 3 * y * width)
  }
  return { picture: { width, height, rgb }, scale }
}
