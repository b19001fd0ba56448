/** Turns a picture the way its EXIF orientation asks for, as Pillow's `exif_transpose` does. */
import type { Picture } from './picture.ts'

/** Per orientation: whether the axes change places first, and which of the resulting axes are then reversed. */
const turns: Readonly<Record<number, { swap: boolean; flipX: boolean; flipY: boolean }>> = {
  2: { swap: false, flipX: true, flipY: false },
  3: { swap: false, flipX: true, flipY: true },
  4: { swap: false, flipX: false, flipY: true },
  5: { swap: true, flipX: false, flipY: false },
  6: { swap: true, flipX: true, flipY: false },
  7: { swap: true, flipX: true, flipY: true },
  8: { swap: true, flipX: false, flipY: true },
}

export function orient(picture: Picture, orientation: number): Picture {
  const turn = turns[orientation]
  if (!turn) return picture
  const { swap, flipX, flipY } = turn
  const [width, height] = swap ? [picture.height, picture.width] : [picture.width, picture.height]
  const rgb = new Uint8Array(picture.rgb.byteLength)
  let to = 0
  for (let y = 0; y < height; y++) {
    const alongY = flipY ? height - 1 - y : y
    for (let x = 0; x < width; x++) {
      const alongX = flipX ? width - 1 - x : x
      const from = 3 * (swap ? alongX * picture.width + alongY : alongY * picture.width + alongX)
      rgb[to++] = picture.rgb[from]!
      rgb[to++] = picture.rgb[from + 1]!
      rgb[to++] = picture.rgb[from + 2]!
    }
  }
  return { width, height, rgb }
}
