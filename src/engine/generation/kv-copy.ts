/** Moving keys and values between places of the heap whose rows have room for different numbers of positions. */
import type { Ort } from '../ort/instance.ts'
import type { Pointer } from '../ort/private-exports.ts'

/** One side (keys or values) of one layer. */
export interface KvShape {
  readonly heads: number
  /** Bytes of one head at one position. */
  readonly headBytes: number
}

/** One row of a side, [heads, capacity, head size], from some position on. */
export interface KvPlace {
  readonly at: Pointer
  /** Positions that the row has room for. */
  readonly capacity: number
  readonly first: number
}

/** Copies `count` positions; the places may overlap. */
export function copyPositions(
  ort: Ort,
  { heads, headBytes }: KvShape,
  from: KvPlace,
  to: KvPlace,
  count: number,
): void {
  if (count === 0) return
  const heap = ort.view(0, ort.heapBytes)
  for (let head = 0; head < heads; head++) {
    const source = from.at + (head * from.capacity + from.first) * headBytes
    const target = to.at + (head * to.capacity + to.first) * headBytes
    heap.copyWithin(target, source, source + count * headBytes)
  }
}
