/** PNG's row filters: each row is stored as differences to its neighbours, by a method of its own. */
import { badPicture } from './picture.ts'

/** Undoes a row's filter in place; `above` is the row before it, already undone. */
export function unfilter(filter: number, line: Uint8Array, above: Uint8Array, pixelBytes: number): void {
  if (filter > 4) throw badPicture(`the PNG file uses filter ${filter}, which does not exist.`)
  if (filter === 0) return
  for (let at = 0; at < line.byteLength; at++) {
    const left = at < pixelBytes ? 0 : line[at - pixelBytes]!
    const up = above[at]!
    if (filter === 1) line[at]! += left
    else if (filter === 2) line[at]! += up
    else if (filter === 3) line[at]! += (left + up) >> 1
    else line[at]! += paeth(left, up, at < pixelBytes ? 0 : above[at - pixelBytes]!)
  }
}

function paeth(left: number, up: number, corner: number): number {
  const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)]
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}
