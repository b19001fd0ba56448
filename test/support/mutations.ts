/** Seeded damage to bytes and to JSON: the same seed gives the same damage, so that a failure names what to look at. */

export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 up to but without `bound`. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }
}

/** Flips bits, cuts, repeats, overwrites, or writes a length that reaches far beyond the end. */
export function mutatedBytes(original: Uint8Array, chance: Chance): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(original)
  const at = chance.below(bytes.byteLength)
  const span = 1 + chance.below(Math.min(64, bytes.byteLength - at))
  switch (chance.below(6)) {
    case 0:
      for (let flips = 1 + chance.below(8); flips > 0; flips--)
        bytes[chance.below(bytes.byteLength)]! ^= 1 << chance.below(8)
      return bytes
    case 1:
      return bytes.slice(0, at)
    case 2:
      // Five bytes of a varint: as a length, up to 34 GB; as a dimension, as many elements.
      bytes.set([0xff, 0xff, 0xff, 0xff, chance.below(128)].slice(0, bytes.byteLength - at), at)
      return bytes
    case 3:
      return joined([bytes.subarray(0, at + span), bytes.subarray(at, at + span), bytes.subarray(at + span)])
    case 4:
      return joined([bytes.subarray(0, at), bytes.subarray(at + span)])
    default:
      for (let index = at; index < at + span; index++) bytes[index] = chance.below(256)
      return bytes
  }
}

const oddValues: readonly unknown[] = [
  null, true, -1, 0, 1, 1e308, 2 ** 53, 0.5, '', 'text', '\u0000', '[UNK]', [], [[]], {}, { type: 'Sequence' }, [null],
  'x'.repeat(10_000), Array(1_000).fill(0), 'Ġ', '__proto__',
] // biome-ignore format: a list of values

/** JSON text with one to three values removed or replaced; now and then its bytes are damaged too. */
export function mutatedJson(original: unknown, chance: Chance): string {
  const root = { value: structuredClone(original) }
  for (let changes = 1 + chance.below(3); changes > 0; changes--) changeOne(root, chance)
  const text = JSON.stringify(root.value) ?? ''
  if (text === '' || chance.below(8) > 0) return text
  return new TextDecoder().decode(mutatedBytes(new TextEncoder().encode(text), chance))
}

/** A walk down to some value, which is then changed in its parent. */
function changeOne(root: Record<string, unknown>, chance: Chance): void {
  let parent: Record<string, unknown> = root
  let key = 'value'
  for (;;) {
    const child = parent[key]
    const keys = typeof child === 'object' && child !== null ? Object.keys(child) : []
    if (keys.length === 0 || chance.below(5) === 0) break
    parent = child as Record<string, unknown>
    key = chance.pick(keys)
  }
  if (parent !== root && chance.below(4) === 0) delete parent[key]
  else parent[key] = structuredClone(chance.pick(oddValues))
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}
