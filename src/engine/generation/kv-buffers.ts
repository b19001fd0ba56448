/**
 * One buffer for each side (keys or values) of each layer, [rows, heads, capacity, head size], in the heap: all in one block of
 * their whole share, taken with the first row. Memory that nothing has written to costs nothing, and whatever is laid out later
 * needs no room elsewhere: taken and freed one by one, buffers of changing sizes left holes until a heap with a limit was full. What
 * lies in them beyond a row's length is never read.
 */
import type { Ort } from '../ort/instance.ts'
import type { Pointer } from '../ort/private-exports.ts'
import { wrap } from '../ort/tensors.ts'
import { bytesPerToken, type KvSide, sideShape } from './decoder-ports.ts'
import { copyPositions, type KvPlace } from './kv-copy.ts'

export interface KvBuffersOptions {
  /** Most positions of a row. */
  positions: number
  /** Most rows. */
  rows: number
  /** Most memory of all buffers. */
  boundBytes: number
}

/** What the buffers have room for. */
interface Room {
  rows: number
  /** Positions of each row. */
  capacity: number
}

const capacityStep = 64

export class KvBuffers {
  readonly #ort: Ort
  readonly #sides: readonly KvSide[]
  readonly #options: KvBuffersOptions
  readonly #bytesPerToken: number
  /** Where all buffers lie; 0 before the first row. */
  #block: Pointer = 0
  /** Most bytes of all buffers: less than was asked for where the heap had no more. */
  #boundBytes: number
  #room: Room = { rows: 0, capacity: 0 }
  /** Tensors over a range of rows, by range. */
  readonly #windows = new Map<string, readonly Pointer[]>()

  constructor(ort: Ort, sides: readonly KvSide[], options: KvBuffersOptions) {
    this.#ort = ort
    this.#sides = sides
    this.#options = options
    this.#bytesPerToken = bytesPerToken(sides)
    this.#boundBytes = options.boundBytes
  }

  fits(rows: number, positions: number): boolean {
    return rows <= this.#options.rows && rows * positions * this.#bytesPerToken <= this.#boundBytes
  }

  /** Tensors over some rows that lie side by side, by side; theirs until the buffers grow. */
  window(first: number, rows: number): readonly Pointer[] {
    const key = `${first}+${rows}`
    let window = this.#windows.get(key)
    if (!window) {
      window = this.#sides.map((shape, side) => {
        const dims = sideShape(shape, rows, this.#room.capacity)
        return wrap(this.#ort, shape.dtype, dims, this.place(side, first).at, rows * this.#rowBytes(shape, this.#room))
      })
      this.#windows.set(key, window)
    }
    return window
  }

  /** Where a row lies in a side's buffer, from some position on. */
  place(side: number, row: number, first = 0): KvPlace {
    const { capacity } = this.#room
    return { at: this.#headAt(this.#room, side, row, 0), capacity, first }
  }

  copyRow(from: number, to: number, length: number): void {
    for (const [side, shape] of this.#sides.entries()) {
      copyPositions(this.#ort, shape, this.place(side, from), this.place(side, to), length)
    }
  }

  exchangeRows(one: number, other: number): void {
    for (const [side, shape] of this.#sides.entries()) {
      const rowBytes = this.#rowBytes(shape, this.#room)
      const [mine, others] = [one, other].map((row) => this.#ort.view(this.place(side, row).at, rowBytes))
      const spare = mine!.slice()
      mine!.set(others!)
      others!.set(spare)
    }
  }

  /**
   * Grows to at least this many rows of this many positions, keeping so many positions of each row as `lengths` says.
   *
   * @throws {RangeError} where the heap has no room.
   */
  makeRoom(rows: number, positions: number, lengths: readonly number[]): void {
    if (rows <= this.#room.rows && positions <= this.#room.capacity) return
    if (this.#block === 0) this.#takeBlock(rows * positions * this.#bytesPerToken)
    const [old, room] = [this.#room, this.#roomFor(rows, positions)]
    this.#dropWindows()
    this.#layOut(old, room, lengths.slice(0, old.rows))
    this.#room = room
  }

  free(): void {
    this.#dropWindows()
    if (!this.#ort.trapped && this.#block !== 0) this.#ort.free(this.#block)
    this.#block = 0
    this.#room = { rows: 0, capacity: 0 }
  }

  /** Moves what is kept together to the front, and from there, last first, to its new places: nothing is overwritten on the way. */
  #layOut(old: Room, room: Room, lengths: readonly number[]): void {
    const heap = this.#ort.view(0, this.#ort.heapBytes)
    let packed = this.#block
    for (const { side, row, head, headBytes } of this.#heads(lengths.length)) {
      const [at, sizeBytes] = [this.#headAt(old, side, row, head), lengths[row]! * headBytes]
      heap.copyWithin(packed, at, at + sizeBytes)
      packed += sizeBytes
    }
    for (const { side, row, head, headBytes } of [...this.#heads(room.rows)].reverse()) {
      const [at, sizeBytes] = [this.#headAt(room, side, row, head), (lengths[row] ?? 0) * headBytes]
      packed -= sizeBytes
      heap.copyWithin(at, packed, packed + sizeBytes)
      // Not a number: a graph that read beyond a row's length would show it in every logit.
      heap.fill(0xff, at + sizeBytes, at + room.capacity * headBytes)
    }
  }

  /** All heads of so many rows, in the order in which they lie. */
  *#heads(rows: number): Generator<{ side: number; row: number; head: number; headBytes: number }> {
    for (const [side, { heads, headBytes }] of this.#sides.entries())
      for (let row = 0; row < rows; row++) for (let head = 0; head < heads; head++) yield { side, row, head, headBytes }
  }

  #headAt({ rows, capacity }: Room, side: number, row: number, head: number): Pointer {
    const before = bytesPerToken(this.#sides.slice(0, side)) * rows * capacity
    const { heads, headBytes } = this.#sides[side]!
    return this.#block + before + (row * heads + head) * capacity * headBytes
  }

  /** The whole share, or in a heap that is nearly full a half of it, a quarter, … down to what is needed now. */
  #takeBlock(leastBytes: number): void {
    const { rows, positions } = this.#options
    let sizeBytes = Math.min(this.#boundBytes, rows * positions * this.#bytesPerToken)
    for (;;) {
      try {
        this.#block = this.#ort.malloc(sizeBytes)
        this.#ort.refusedBytes = 0
        this.#boundBytes = sizeBytes
        return
      } catch (error) {
        if (!(error instanceof RangeError) || sizeBytes <= leastBytes) throw error
        sizeBytes = Math.max(leastBytes, Math.floor(sizeBytes / 2))
      }
    }
  }

  /** Generous where memory allows it, so that rows rarely move; all that there is where it does not. */
  #roomFor(rows: number, positions: number): Room {
    const most = this.#options
    const roomy = {
      rows: rows <= this.#room.rows ? this.#room.rows : Math.min(2 ** Math.ceil(Math.log2(rows)), most.rows),
      capacity:
        positions <= this.#room.capacity ? this.#room.capacity : Math.min(roundUp(positions * 1.25), most.positions),
    }
    const choices = [roomy, { rows, capacity: roomy.capacity }]
    const all = Math.floor(this.#boundBytes / (rows * this.#bytesPerToken))
    return (
      choices.find((room) => this.fits(room.rows, room.capacity)) ?? { rows, capacity: Math.min(all, most.positions) }
    )
  }

  #rowBytes({ heads, headBytes }: KvSide, { capacity }: Room): number {
    return heads * capacity * headBytes
  }

  #dropWindows(): void {
    if (!this.#ort.trapped) {
      for (const tensor of [...this.#windows.values()].flat()) this.#ort.module._OrtReleaseTensor(tensor)
    }
    this.#windows.clear()
  }
}

function roundUp(positions: number): number {
  return Math.ceil(positions / capacityStep) * capacityStep
}
