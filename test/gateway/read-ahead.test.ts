import { expect, it } from 'vitest'
import { readAhead } from '#src/gateway/read-ahead.ts'

async function* counting(taken: number[], failsAt = Number.POSITIVE_INFINITY): AsyncGenerator<number> {
  for (let at = 0; at < 5; at++) {
    if (at === failsAt) throw new Error('broken off')
    taken.push(at)
    yield at
  }
}
const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

it('reads a source to its end although nobody asks, and gives all of it in order', async () => {
  const taken: number[] = []
  const ahead = readAhead(counting(taken))
  await turns()
  expect(taken).toEqual([0, 1, 2, 3, 4])
  expect(await Array.fromAsync(ahead)).toEqual([0, 1, 2, 3, 4])
  expect(await ahead.next()).toEqual({ value: undefined, done: true })
})

it('gives what came before a failure, then the failure', async () => {
  const ahead = readAhead(counting([], 2))
  await turns()
  const got: number[] = []
  await expect(
    (async () => {
      for await (const value of ahead) got.push(value)
    })(),
  ).rejects.toThrow('broken off')
  expect(got).toEqual([0, 1])
})

it('ends its source when its reader leaves', async () => {
  const gate = Promise.withResolvers<void>()
  let isEnded = false
  async function* endless(): AsyncGenerator<number> {
    try {
      for (let at = 0; ; at++) {
        yield at
        if (at === 3) await gate.promise
      }
    } finally {
      isEnded = true
    }
  }
  const ahead = readAhead(endless())
  for await (const value of ahead)
    if (value === 1) setTimeout(gate.resolve, 0)
    else if (value === 3) break
  expect(isEnded).toBe(true)
})
