/** Whether a graph's run of several tokens gives the bits of single steps, and what both cost: a few runs on a decoder of its own. */
import { OrtError } from '../ort/error.ts'
import type { Decoder, DecoderBounds } from './decoder.ts'
import { ByRowDecoder } from './decoder-by-row.ts'
import { bytesPerToken, type DecoderPorts } from './decoder-ports.ts'
import { type DraftProbe, probeLengths, readableFrom } from './speculation.ts'

/** Most tokens that a row of the probe holds: those before the run, those of the run, and one behind it. */
const positions = Math.max(...probeLengths) + 8

type Timed = <T>(drafted: number, run: () => T) => T

/** Compares the logits of each token of a run and, since keys and values count too, of one more token behind it. */
export function probeDrafts(ports: DecoderPorts, length: number, now: () => number): DraftProbe {
  const bounds: DecoderBounds = { positions, rows: 2, cacheBytes: 8 * positions * bytesPerToken(ports.sides) }
  const decoder = new ByRowDecoder(ports, bounds)
  const costs: { drafted: number; ms: number }[] = []
  const timed: Timed = (drafted, run) => {
    const startedMs = now()
    const result = run()
    costs.push({ drafted, ms: now() - startedMs })
    return result
  }
  try {
    return { isExact: decoder.givesEachLogits && agreesFrom(decoder, length, timed), costs }
  } catch (error) {
    // What the graph refuses here it would refuse in the middle of a text.
    if (error instanceof OrtError || error instanceof RangeError) return { isExact: false, costs }
    throw error
  } finally {
    decoder.reset()
  }
}

function agreesFrom(decoder: Decoder, length: number, timed: Timed): boolean {
  const singly = decoder.open()
  if (length > 0) decoder.read(singly, tokensFrom(0, length))
  const together = decoder.fork(singly)
  const count = readableFrom(length)
  const tokens = tokensFrom(length, count + 1)
  const step = (row: typeof singly, token: number) => decoder.step([row], [token])[0]!.slice()
  const expected = tokens.map((token) => timed(0, () => step(singly, token)))
  const each = timed(count - 1, () => decoder.readEach(together, tokens.slice(0, count))).map((logits) =>
    logits.slice(),
  )
  const behind = tokens.slice(count).map((token) => step(together, token))
  for (const row of [singly, together]) decoder.close(row)
  return [...each, ...behind].every((logits, index) => sameBits(logits, expected[index]!))
}

function tokensFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => 1 + (((first + at) * 7) % 13))
}

function sameBits(some: Float32Array, others: Float32Array): boolean {
  const [a, b] = [some, others].map(({ buffer, byteOffset, length }) => new Int32Array(buffer, byteOffset, length))
  return a!.every((bits, at) => bits === b![at])
}
