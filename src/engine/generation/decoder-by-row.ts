/**
 * Decoding over graphs that give back their keys and values as new tensors (Concat). Each row runs alone and hands the tensors
 * of its last run to the next one as they are: no copy in JavaScript, and nothing that a neighbour could change.
 */
import type { Ort } from '../ort/instance.ts'
import type { Pointer } from '../ort/private-exports.ts'
import { placeOf, wrap } from '../ort/tensors.ts'
import type { Decoder, DecoderBounds, DecoderRow } from './decoder.ts'
import { bytesPerToken, type DecoderPorts, givesEachLogits, sideShape } from './decoder-ports.ts'
import { type DecoderRun, runDecoder } from './decoder-run.ts'
import { copyPositions } from './kv-copy.ts'

/** Tensors that several rows may hold, since no run changes them. */
interface SharedCache {
  readonly handles: readonly Pointer[]
  /** Memory of ours behind them; ORT's own tensors have theirs. */
  readonly blocks: readonly Pointer[]
  holders: number
}

interface Row extends DecoderRow {
  length: number
  cache: SharedCache
}

export class ByRowDecoder implements Decoder {
  readonly kind = 'by row'
  readonly contextTokens: number
  readonly bytesPerToken: number
  readonly givesEachLogits: boolean
  readonly #rows: number
  readonly #ports: DecoderPorts
  readonly #ort: Ort
  readonly #cacheBytes: number
  readonly #open = new Set<Row>()
  /** What steps return, by row. */
  readonly #logits: Float32Array[] = []
  /** What `readEach` returns. */
  readonly #each: Float32Array[] = []

  constructor(ports: DecoderPorts, { positions, cacheBytes, rows }: DecoderBounds) {
    this.#ports = ports
    this.#ort = ports.session.ort
    this.#cacheBytes = cacheBytes
    this.bytesPerToken = bytesPerToken(ports.sides)
    this.givesEachLogits = givesEachLogits(ports)
    this.#rows = rows
    // During a run a row's old and new tensors exist side by side.
    this.contextTokens = Math.min(positions, Math.floor(cacheBytes / this.bytesPerToken / 2))
  }

  fits(lengths: readonly number[]): boolean {
    const tokens = lengths.reduce((sum, length) => sum + length, Math.max(0, ...lengths))
    return lengths.length <= this.#rows && tokens * this.bytesPerToken <= this.#cacheBytes
  }

  open(): DecoderRow {
    const row: Row = { length: 0, cache: this.#newCache(0) }
    this.#open.add(row)
    return row
  }

  fork(row: DecoderRow): DecoderRow {
    const { length, cache } = this.#own(row)
    cache.holders++
    const copy: Row = { length, cache }
    this.#open.add(copy)
    return copy
  }

  /** Each run makes its own. */
  makeRoom(): void {}

  close(row: DecoderRow): void {
    const own = row as Row
    if (this.#open.delete(own)) this.#letGo(own.cache)
  }

  read(row: DecoderRow, tokens: readonly number[]): Float32Array {
    return this.#run(this.#own(row), { tokens })[0]!
  }

  readEach(row: DecoderRow, tokens: readonly number[]): Float32Array[] {
    return this.#run(this.#own(row), { tokens, each: true, into: this.#each })
  }

  shorten(row: DecoderRow, length: number): void {
    const own = this.#own(row)
    this.#recache(own, length, [], 0)
  }

  step(rows: readonly DecoderRow[], tokens: readonly number[]): Float32Array[] {
    return rows.map((row, index) => {
      const [logits] = this.#run(this.#own(row), {
        tokens: [tokens[index]!],
        into: this.#logits.slice(index, index + 1),
      })
      this.#logits[index] = logits!
      return logits!
    })
  }

  save(row: DecoderRow, first: number, count: number): Pointer {
    const { length, cache } = this.#own(row)
    const block = this.#ort.malloc(count * this.bytesPerToken)
    let at = block
    for (const [side, shape] of this.#ports.sides.entries()) {
      const { data } = placeOf(this.#ort, cache.handles[side]!)
      copyPositions(this.#ort, shape, { at: data, capacity: length, first }, { at, capacity: count, first: 0 }, count)
      at += count * shape.heads * shape.headBytes
    }
    return block
  }

  restore(row: DecoderRow, blocks: readonly Pointer[], count: number): void {
    const own = this.#own(row)
    this.#recache(own, own.length, blocks, count)
  }

  reset(): void {
    for (const row of [...this.#open]) this.close(row)
  }

  /** A cache of its own for a row: its first positions and then blocks of `count`. */
  #recache(own: Row, kept: number, blocks: readonly Pointer[], count: number): void {
    const length = kept + blocks.length * count
    const cache = this.#newCache(length)
    let offset = 0
    for (const [side, shape] of this.#ports.sides.entries()) {
      const at = cache.blocks[side]!
      const old = placeOf(this.#ort, own.cache.handles[side]!).data
      copyPositions(
        this.#ort,
        shape,
        { at: old, capacity: own.length, first: 0 },
        { at, capacity: length, first: 0 },
        kept,
      )
      for (const [index, block] of blocks.entries()) {
        const from = { at: block + offset, capacity: count, first: 0 }
        copyPositions(this.#ort, shape, from, { at, capacity: length, first: kept + index * count }, count)
      }
      offset += count * shape.heads * shape.headBytes
    }
    this.#letGo(own.cache)
    own.cache = cache
    own.length = length
  }

  #run(row: Row, run: Pick<DecoderRun, 'tokens' | 'each' | 'into'>): Float32Array[] {
    const { length, cache } = row
    const { logits, presents } = runDecoder(this.#ports, { ...run, lengths: [length], pasts: cache.handles })
    this.#letGo(cache)
    row.cache = { handles: presents, blocks: [], holders: 1 }
    row.length += run.tokens.length
    return logits
  }

  #newCache(positions: number): SharedCache {
    const ort = this.#ort
    const blocks: Pointer[] = []
    const handles: Pointer[] = []
    try {
      for (const side of this.#ports.sides) {
        const sizeBytes = side.heads * positions * side.headBytes
        blocks.push(ort.malloc(sizeBytes))
        handles.push(wrap(ort, side.dtype, sideShape(side, 1, positions), blocks.at(-1)!, sizeBytes))
      }
      return { handles, blocks, holders: 1 }
    } catch (error) {
      this.#release(handles, blocks)
      throw error
    }
  }

  #letGo(cache: SharedCache): void {
    cache.holders--
    if (cache.holders === 0 && !this.#ort.trapped) this.#release(cache.handles, cache.blocks)
  }

  #release(handles: readonly Pointer[], blocks: readonly Pointer[]): void {
    for (const handle of handles) this.#ort.module._OrtReleaseTensor(handle)
    for (const block of blocks) this.#ort.free(block)
  }

  #own(row: DecoderRow): Row {
    const own = row as Row
    if (!this.#open.has(own)) throw new Error('The row is closed.')
    return own
  }
}
