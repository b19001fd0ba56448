/**
 * How fast one thread reads wasm memory: the bound on decoding, since each token reads all weights of all products once. A loop of
 * 16-byte loads and additions, over and over a block as large as the weights, so that the processor's caches hold as much of it.
 */

/** `(memory "m" "m") (func (export "r") (param at end) (result i32))`: sums 64 bytes a turn in four vectors. */
const reader = Uint8Array.from(
  [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    [0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f],
    [0x02, 0x08, 0x01, 0x01, 0x6d, 0x01, 0x6d, 0x02, 0x00, 0x01],
    [0x03, 0x02, 0x01, 0x00],
    [0x07, 0x05, 0x01, 0x01, 0x72, 0x00, 0x00],
    ...codeSection(),
  ].flat(),
)

function codeSection(): number[][] {
  const [sums, vectorBytes] = [[2, 3, 4, 5], 16]
  const localGet = (local: number) => [0x20, local]
  const add = [0xfd, 0xae, 0x01]
  const loads = sums.flatMap((sum, index) => [
    ...localGet(sum), ...localGet(0), 0xfd, 0x00, 0x04, index * vectorBytes, ...add, 0x21, sum,
  ]) // biome-ignore format: one instruction after another
  const next = [...localGet(0), 0x41, 0xc0, 0x00, 0x6a, 0x22, 0x00, ...localGet(1), 0x49, 0x0d, 0x00]
  const sum = [...localGet(2), ...sums.slice(1).flatMap((each) => [...localGet(each), ...add]), 0xfd, 0x1b, 0x00]
  const body = [0x01, 0x04, 0x7b, 0x03, 0x40, ...loads, ...next, 0x0b, ...sum, 0x0b]
  return [[0x0a, body.length + 2, 0x01, body.length], body]
}

const passes = { warm: 20, timed: 40 }

/** Bytes per second of the fastest pass over `sizeBytes`. */
export async function readBytesPerSecond(sizeBytes: number): Promise<number> {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(sizeBytes / 65_536) })
  new Uint8Array(memory.buffer).fill(1)
  const { instance } = await WebAssembly.instantiate(reader, { m: { m: memory } })
  const read = instance.exports.r as (at: number, end: number) => number
  let fastestMs = Number.POSITIVE_INFINITY
  for (let pass = 0; pass < passes.warm + passes.timed; pass++) {
    const startedMs = performance.now()
    read(0, memory.buffer.byteLength)
    if (pass >= passes.warm) fastestMs = Math.min(fastestMs, performance.now() - startedMs)
  }
  return (1_000 * memory.buffer.byteLength) / fastestMs
}
