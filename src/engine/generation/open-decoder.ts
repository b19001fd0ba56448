/**
 * Finding out how a graph keeps its cache, by trying: what a node called GroupQueryAttention promises is not what every export
 * delivers, and whether rows depend on each other (dynamic int8 takes one scale for all rows) stands nowhere in the file.
 * A few runs on a handful of tokens, compared with runs that share nothing.
 */
import { OrtError } from '../ort/error.ts'
import type { Decoder, DecoderBounds } from './decoder.ts'
import { ByRowDecoder } from './decoder-by-row.ts'
import { InPlaceDecoder } from './decoder-in-place.ts'
import { bytesPerToken, type DecoderPorts } from './decoder-ports.ts'

/** Differences below this share of the largest logit are rounding; a shared int8 scale makes a hundred times more. */
const rounding = 1e-4

/** Positions and rows of the probe. */
const probe = { positions: 16, rows: 2 }

/** Opens the fastest decoder whose answers are those of a row alone. @throws {OrtError} where the graph does not run at all. */
export function openDecoder(ports: DecoderPorts, bounds: DecoderBounds): Decoder {
  const alone = tryOut(new ByRowDecoder(ports, probeBounds(ports)))
  const together = tryInPlace(ports, true)
  if (together && agree(alone, together)) return new InPlaceDecoder(ports, bounds, true)
  const each = tryInPlace(ports, false)
  if (each && agree(alone, each)) return new InPlaceDecoder(ports, bounds, false)
  return new ByRowDecoder(ports, bounds)
}

/** Undefined where the graph refuses to write over its own cache. */
function tryInPlace(ports: DecoderPorts, together: boolean): Float32Array[] | undefined {
  try {
    return tryOut(new InPlaceDecoder(ports, probeBounds(ports), together))
  } catch (error) {
    if (error instanceof OrtError) return undefined
    throw error
  }
}

/** Two rows of different lengths, read in pieces, stepping together and past a growth of the buffers. */
function tryOut(decoder: Decoder): Float32Array[] {
  try {
    const [long, short] = [decoder.open(), decoder.open()]
    const logits = [decoder.read(long, [3, 1, 4]), decoder.read(short, [2]), decoder.read(long, [1, 5])]
    for (const tokens of [
      [5, 0],
      [3, 4],
    ]) {
      logits.push(...decoder.step([long, short], tokens).map((each) => each.slice()))
    }
    return logits
  } finally {
    decoder.reset()
  }
}

function agree(expected: readonly Float32Array[], actual: readonly Float32Array[]): boolean {
  return expected.every((logits, index) => {
    const others = actual[index]!
    const largest = logits.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0)
    return logits.every((logit, token) => Math.abs(logit - others[token]!) <= rounding * largest)
  })
}

function probeBounds(ports: DecoderPorts): DecoderBounds {
  return { ...probe, cacheBytes: 4 * probe.rows * probe.positions * bytesPerToken(ports.sides) }
}
