/**
 * Decoding over graphs that append to their cache in place (GroupQueryAttention): the buffers of keys and values are bound as past
 * and as present of the same run, so that nothing is copied.
 *
 * The rows that step together must lie side by side at the front, so a row has a position, and rows change places when they
 * join and leave.
 */
import type { Ort } from '../ort/instance.ts'
import type { Pointer } from '../ort/private-exports.ts'
import type { Decoder, DecoderBounds, DecoderRow } from './decoder.ts'
import { bytesPerToken, type DecoderPorts, givesEachLogits } from './decoder-ports.ts'
import { type DecoderRun, runDecoder } from './decoder-run.ts'
import { KvBuffers } from './kv-buffers.ts'
import { copyPositions } from './kv-copy.ts'

interface Row extends DecoderRow {
  length: number
  position: number
}

export class InPlaceDecoder implements Decoder {
  readonly contextTokens: number
  readonly bytesPerToken: number
  readonly givesEachLogits: boolean
  readonly #together: boolean
  readonly #ports: DecoderPorts
  readonly #ort: Ort
  readonly #buffers: KvBuffers
  /** By position. */
  readonly #open: Row[] = []
  /** What steps return, by row of the run. */
  readonly #logits: Float32Array[] = []
  /** What `readEach` returns. */
  readonly #each: Float32Array[] = []

  /** `together`: the graph's rows do not depend on each other, so that one run may step them all. */
  constructor(ports: DecoderPorts, { positions, cacheBytes, rows }: DecoderBounds, together: boolean) {
    this.#ports = ports
    this.#ort = ports.session.ort
    this.#together = together
    this.bytesPerToken = bytesPerToken(ports.sides)
    this.givesEachLogits = givesEachLogits(ports)
    this.contextTokens = Math.min(positions, Math.floor(cacheBytes / this.bytesPerToken))
    this.#buffers = new KvBuffers(this.#ort, ports.sides, {
      positions: this.contextTokens,
      rows,
      boundBytes: cacheBytes,
    })
  }

  get kind(): Decoder['kind'] {
    return this.#together ? 'in place, rows together' : 'in place, each row alone'
  }

  fits(lengths: readonly number[]): boolean {
    return this.#buffers.fits(lengths.length, Math.max(0, ...lengths))
  }

  open(): DecoderRow {
    const row: Row = { length: 0, position: this.#open.length }
    this.#open.push(row)
    return row
  }

  fork(row: DecoderRow): DecoderRow {
    const from = this.#own(row)
    const copy: Row = { length: from.length, position: this.#open.length }
    this.#makeRoom(copy.position + 1, copy.length)
    this.#buffers.copyRow(from.position, copy.position, copy.length)
    this.#open.push(copy)
    return copy
  }

  makeRoom(row: DecoderRow, length: number): void {
    this.#own(row)
    this.#makeRoom(this.#open.length, length)
  }

  close(row: DecoderRow): void {
    const { position } = row as Row
    if (this.#open[position] !== row) return
    const last = this.#open.pop()!
    if (last === row) return
    this.#buffers.copyRow(last.position, position, last.length)
    this.#place(last, position)
  }

  read(row: DecoderRow, tokens: readonly number[]): Float32Array {
    const own = this.#own(row)
    this.#makeRoom(this.#open.length, own.length + tokens.length)
    return this.#run([own], { tokens })[0]!
  }

  readEach(row: DecoderRow, tokens: readonly number[]): Float32Array[] {
    const own = this.#own(row)
    this.#makeRoom(this.#open.length, own.length + tokens.length)
    return this.#run([own], { tokens, each: true, into: this.#each })
  }

  shorten(row: DecoderRow, length: number): void {
    this.#own(row).length = length
  }

  step(rows: readonly DecoderRow[], tokens: readonly number[]): Float32Array[] {
    const own = rows.map((row) => this.#own(row))
    this.#makeRoom(this.#open.length, 1 + Math.max(...own.map(({ length }) => length)))
    if (!this.#together) return own.map((row, index) => this.#stepAlone(row, tokens[index]!, index))
    this.#bringForward(own)
    const byPosition = [...own.keys()].sort((a, b) => own[a]!.position - own[b]!.position)
    const logits = this.#run(
      byPosition.map((index) => own[index]!),
      { tokens: byPosition.map((index) => tokens[index]!), into: this.#logits },
    )
    return own.map(({ position }) => logits[position]!)
  }

  save(row: DecoderRow, first: number, count: number): Pointer {
    const { position } = this.#own(row)
    const block = this.#ort.malloc(count * this.bytesPerToken)
    let at = block
    for (const [side, shape] of this.#ports.sides.entries()) {
      const from = this.#buffers.place(side, position, first)
      copyPositions(this.#ort, shape, from, { at, capacity: count, first: 0 }, count)
      at += count * shape.heads * shape.headBytes
    }
    return block
  }

  restore(row: DecoderRow, blocks: readonly Pointer[], count: number): void {
    const own = this.#own(row)
    this.#makeRoom(this.#open.length, own.length + blocks.length * count)
    for (const block of blocks) {
      let at = block
      for (const [side, shape] of this.#ports.sides.entries()) {
        const to = this.#buffers.place(side, own.position, own.length)
        copyPositions(this.#ort, shape, { at, capacity: count, first: 0 }, to, count)
        at += count * shape.heads * shape.headBytes
      }
      own.length += count
    }
  }

  reset(): void {
    this.#open.length = 0
    this.#buffers.free()
  }

  /** Runs rows that lie side by side, in their order. */
  #run(rows: readonly Row[], run: Pick<DecoderRun, 'tokens' | 'each' | 'into'>): Float32Array[] {
    const window = this.#buffers.window(rows[0]!.position, rows.length)
    const lengths = rows.map(({ length }) => length)
    const { logits } = runDecoder(this.#ports, { ...run, lengths, pasts: window, presents: window })
    for (const row of rows) row.length += run.tokens.length / rows.length
    return logits
  }

  #stepAlone(row: Row, token: number, index: number): Float32Array {
    const [logits] = this.#run([row], { tokens: [token], into: this.#logits.slice(index, index + 1) })
    this.#logits[index] = logits!
    return logits!
  }

  /** Moves rows to the front, each in exchange for a row that is none of them. */
  #bringForward(rows: readonly Row[]): void {
    const chosen = new Set(rows)
    for (const row of rows) {
      if (row.position < rows.length) continue
      const other = this.#open.find((candidate) => !chosen.has(candidate))!
      const { position } = row
      this.#buffers.exchangeRows(position, other.position)
      this.#place(row, other.position)
      this.#place(other, position)
    }
  }

  #place(row: Row, position: number): void {
    row.position = position
    this.#open[position] = row
  }

  #makeRoom(rows: number, positions: number): void {
    this.#buffers.makeRoom(
      rows,
      positions,
      this.#open.map(({ length }) => length),
    )
  }

  #own(row: DecoderRow): Row {
    const own = row as Row
    if (this.#open[own.position] !== own) throw new Error('The row is closed.')
    return own
  }
}
