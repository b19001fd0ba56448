/**
 * One buffer for each side (keys or values) of each layer, [rows, heads, capacity, head size], in the heap. They grow in steps and
 * one after another, so that only one of them ever exists twice, and never beyond their share of the heap. What lies in them
 * beyond a row's length is never read.
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
  /** By side. */
  #buffers: Pointer[] = []
  #room: Room = { rows: 0, capacity: 0 }
  /** Tensors over a range of rows, by range. */
  readonly #windows = new Map<string, readonly Pointer[]>()

  constructor(ort: Ort, sides: readonly KvSide[], options: KvBuffersOptions) {
    this.#ort = ort
    this.#sides = sides
    this.#options = options
    this.#bytesPerToken = bytesPerToken(sides)
  }

  fits(rows: number, positions: number): boolean {
    return rows <= this.#options.rows && rows * positions * this.#bytesPerToken <= this.#options.boundBytes
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
    return { at: this.#buffers[side]! + row * this.#rowBytes(this.#sides[side]!, this.#room), capacity, first }
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
   * @throws {RangeError} where the heap has no room; what the buffers held is lost then, until `free`.
   */
  makeRoom(rows: number, positions: number, lengths: readonly number[]): void {
    if (rows <= this.#room.rows && positions <= this.#room.capacity) return
    const [old, room] = [this.#room, this.#roomFor(rows, positions)]
    this.#dropWindows()
    for (const [side, shape] of this.#sides.entries()) {
      const sizeBytes = room.rows * this.#rowBytes(shape, room)
      const grown = this.#ort.malloc(sizeBytes)
      // Not a number: a graph that read beyond a row's length would show it in every logit.
      this.#ort.view(grown, sizeBytes).fill(0xff)
      const before = this.#buffers[side] ?? 0
      for (const [row, length] of lengths.slice(0, old.rows).entries()) {
        const from = { at: before + row * this.#rowBytes(shape, old), capacity: old.capacity, first: 0 }
        const to = { at: grown + row * this.#rowBytes(shape, room), capacity: room.capacity, first: 0 }
        copyPositions(this.#ort, shape, from, to, length)
      }
      if (before !== 0) this.#ort.free(before)
      this.#buffers[side] = grown
    }
    this.#room = room
  }

  free(): void {
    this.#dropWindows()
    if (!this.#ort.trapped) for (const buffer of this.#buffers) this.#ort.free(buffer)
    this.#buffers = []
    this.#room = { rows: 0, capacity: 0 }
  }

  /** Generous where memory allows it, so that growth is rare; exact where it does not. */
  #roomFor(rows: number, positions: number): Room {
    const most = this.#options
    const roomy = {
      rows: rows <= this.#room.rows ? this.#room.rows : Math.min(2 ** Math.ceil(Math.log2(rows)), most.rows),
      capacity:
        positions <= this.#room.capacity ? this.#room.capacity : Math.min(roundUp(positions * 1.25), most.positions),
    }
    const choices = [roomy, { rows, capacity: roomy.capacity }]
    return choices.find((room) => this.fits(room.rows, room.capacity)) ?? { rows, capacity: positions }
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
