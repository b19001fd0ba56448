/**
 * Random numbers that a seed decides: xoshiro128**, whose state is filled by splitmix32 from the seed and the choice's number, so
 * that each choice has a stream of its own, the same alone or in a batch.
 */
export interface RandomNumbers {
  /** At least 0, below 1, with 53 random bits. */
  next(): number
}

export function createRandomNumbers(seed: number, stream: number): RandomNumbers {
  const fill = splitmix32(seed, stream)
  let [a, b, c, d] = [fill(), fill(), fill(), fill()]

  function bits(): number {
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotated(d, 11)
    return result
  }
  return { next: () => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53 }
}

/** Mixes both halves of the seed and the stream into one state, one after the other. */
function splitmix32(seed: number, stream: number): () => number {
  let state = 0
  function next(): number {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return mixed ^ (mixed >>> 15)
  }
  for (const part of [seed | 0, Math.floor(seed / 2 ** 32) | 0, stream | 0]) {
    state ^= part
    state = next()
  }
  return next
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}
