/**
 * Runs of a graph over rows of tokens of one length.
 *
 * The inputs lie in one block of the heap that is written anew for each run, and the output is read where ORT left it: a token
 * vector per token is the largest part of what an embedder computes, and all of it but one vector per text is thrown away.
 */
import { modelFailed } from '#contracts/errors.ts'
import { dtypes, elementCount } from '#contracts/tensor.ts'
import { requireRunning, runFailure } from './engine-failure.ts'
import type { Port } from './ort/ports.ts'
import type { Pointer } from './ort/private-exports.ts'
import type { OrtSession } from './ort/session.ts'
import { dtypeOf, placeOf, wrap } from './ort/tensors.ts'
import { type PaddedRow, writeTokens } from './token-inputs.ts'

export interface RowOutput {
  /** Shape of this row's values. */
  shape: readonly number[]
  /** Valid only until the reader returns: the memory is ORT's. */
  values: Float32Array
  /** First and past-the-last real token along the sequence. */
  tokens: readonly [number, number]
}

export class TokenRun {
  readonly #session: OrtSession
  readonly #output: Port
  #block: Pointer = 0
  #blockBytes = 0

  constructor(session: OrtSession, output: Port) {
    this.#session = session
    this.#output = output
  }

  /**
   * Runs all rows at once and shows each one's output to `read`.
   *
   * @throws {ServingError} 400 where the graph refuses the rows, 500 where the engine stops, 503 where it had stopped before.
   */
  run(rows: readonly PaddedRow[], width: number, read: (row: number, output: RowOutput) => void): void {
    const { ort, inputs } = this.#session
    requireRunning(ort)
    const given: { handle: Pointer }[] = []
    let handles: readonly Pointer[] = []
    try {
      let at = this.#reserve(inputs.reduce((sum, port) => sum + rows.length * width * dtypes[port.dtype].bytes, 0))
      for (const port of inputs) {
        const sizeBytes = rows.length * width * dtypes[port.dtype].bytes
        writeTokens(port, rows, width, ort.words(at, sizeBytes / 4))
        given.push({ handle: wrap(ort, port.dtype, [rows.length, width], at, sizeBytes) })
        at += sizeBytes
      }
      handles = this.#session.runHandles(given, [this.#output])
      this.#read(handles[0]!, rows, read)
    } catch (error) {
      throw runFailure(error)
    } finally {
      // After a trap the heap is nobody's any more, and a second failure would hide the first.
      if (!ort.trapped) {
        for (const handle of handles) ort.module._OrtReleaseTensor(handle)
        for (const { handle } of given) ort.module._OrtReleaseTensor(handle)
      }
    }
  }

  #read(handle: Pointer, rows: readonly PaddedRow[], read: (row: number, output: RowOutput) => void): void {
    const { ort } = this.#session
    const { name } = this.#output
    const { type, shape, data } = placeOf(ort, handle)
    const dtype = dtypeOf(type)
    const [first, ...rowShape] = shape
    if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'float64')
      throw modelFailed(`The graph's output "${name}" is ${dtype}; the task needs floating-point numbers.`)
    if (first !== rows.length)
      throw modelFailed(`The graph's output "${name}" has shape [${shape.join(', ')}] for ${rows.length} rows.`)
    const size = elementCount(rowShape)
    const { buffer } = ort.memory
    for (const [row, { tokens }] of rows.entries()) {
      const at = data + row * size * dtypes[dtype].bytes
      const values =
        dtype === 'float32'
          ? new Float32Array(buffer, at, size)
          : Float32Array.from(
              dtype === 'float16' ? new Float16Array(buffer, at, size) : new Float64Array(buffer, at, size),
            )
      read(row, { shape: rowShape, values, tokens })
    }
  }

  /** The block of inputs, at least this large. It grows to the largest batch and stays. */
  #reserve(sizeBytes: number): Pointer {
    const { ort } = this.#session
    if (sizeBytes > this.#blockBytes) {
      if (this.#blockBytes > 0) ort.free(this.#block)
      this.#blockBytes = 0
      this.#block = ort.malloc(sizeBytes)
      this.#blockBytes = sizeBytes
    }
    return this.#block
  }
}
