import { describe, expect, it } from 'vitest'
import { Batcher, type BatcherOptions } from '#src/engine/batcher.ts'

interface Row {
  of: string
  length: number
}

/** Runs take the milliseconds of `costMs`; a turn of the event loop lets `arrivals` come in. */
function newBatcher(options: Partial<BatcherOptions<Row>> & { costMs?: (rows: readonly Row[]) => number } = {}) {
  const { costMs = () => 10, ...rest } = options
  const runs: string[] = []
  const arrivals: (() => void)[] = []
  const clock = { ms: 0 }
  const batcher = new Batcher<Row>({
    lengthOf: ({ length }) => length,
    mostRows: () => 4,
    run(rows) {
      clock.ms += costMs(rows)
      runs.push(rows.map(({ of }) => of).join(' '))
    },
    now: () => clock.ms,
    nextTurn: async () => arrivals.shift()?.(),
    ...rest,
  })
  return { batcher, runs, arrivals, clock }
}

const rows = (of: string, count: number, length = 5): Row[] => Array.from({ length: count }, () => ({ of, length }))
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'answered',
    (error: { code: string }) => error.code,
  )

describe('the batcher', () => {
  it('lets requests of the same turn share the first run', async () => {
    const { batcher, runs } = newBatcher()
    await Promise.all(['a', 'b', 'c'].map((of) => batcher.submit(rows(of, 1))))
    expect(runs).toEqual(['a b c'])
  })

  it('makes the next batch of what came during a run', async () => {
    const { batcher, runs, arrivals } = newBatcher()
    const later: Promise<void>[] = []
    arrivals.push(() => later.push(...['b', 'c', 'd'].map((of) => batcher.submit(rows(of, 1)))))
    await batcher.submit(rows('a', 1))
    await new Promise((resolve) => setTimeout(resolve, 0))
    await Promise.all(later)
    expect(runs).toEqual(['a', 'b c d'])
  })

  it('never lets rows of different lengths share a run', async () => {
    const { batcher, runs } = newBatcher()
    await Promise.all([
      batcher.submit([...rows('a', 1, 3), ...rows('A', 2, 4)]),
      batcher.submit([...rows('b', 1, 4), ...rows('B', 1, 5)]),
    ])
    expect(runs.map((run) => run.split(' ').sort().join(' '))).toEqual(['a', 'A A b', 'B'])
  })

  it('keeps to the most rows of a length, and runs the rows of dependent graphs one by one', async () => {
    const pairs = newBatcher({ mostRows: (length) => (length > 5 ? 1 : 2) })
    await pairs.batcher.submit([...rows('a', 3), ...rows('l', 2, 9)])
    expect(pairs.runs.sort()).toEqual(['a', 'a a', 'l', 'l'])
  })

  it('a request of one row waits for one batch of a long one', async () => {
    const { batcher, runs, arrivals } = newBatcher({ mostRows: () => 1 })
    const small: Promise<void>[] = []
    arrivals.push(() => small.push(batcher.submit(rows('small', 1))))
    const long = batcher.submit(rows('long', 2_000))
    await new Promise((resolve) => setTimeout(resolve, 0))
    await Promise.all(small)
    expect(runs.indexOf('small')).toBeLessThanOrEqual(2)
    await long
    expect(runs.filter((run) => run === 'long')).toHaveLength(2_000)
  })

  it('fills a batch by one row of each request in turn', async () => {
    const { batcher, runs } = newBatcher()
    await Promise.all([batcher.submit(rows('a', 9)), batcher.submit(rows('b', 2)), batcher.submit(rows('c', 1))])
    expect(runs[0]).toBe('a b c a')
  })

  it('a row that fails fails its own request only', async () => {
    const { batcher, runs } = newBatcher()
    const failing = newBatcher({
      run(together) {
        if (together.some(({ of }) => of === 'bad')) throw Object.assign(new Error('no'), { code: 'BAD_REQUEST' })
        runs.push(together.map(({ of }) => of).join(' '))
      },
    }).batcher
    const codes = await Promise.all(['a', 'bad', 'c'].map((of) => codeOf(failing.submit(rows(of, 1)))))
    expect(codes).toEqual(['answered', 'BAD_REQUEST', 'answered'])
    expect(runs).toEqual(['a', 'c'])
    await batcher.submit([])
  })

  it('drops a request whose caller went away before its next run', async () => {
    const { batcher, runs, arrivals } = newBatcher({ mostRows: () => 1 })
    const caller = new AbortController()
    arrivals.push(
      () => undefined,
      () => caller.abort(),
    )
    const [gone, stays] = [batcher.submit(rows('gone', 50), caller.signal), batcher.submit(rows('stays', 3))]
    expect(await codeOf(gone)).toBe('CANCELLED')
    await stays
    expect(runs).toEqual(['gone', 'stays', 'stays', 'stays'])
    expect(await codeOf(batcher.submit(rows('late', 1), AbortSignal.abort()))).toBe('CANCELLED')
    expect(runs).toHaveLength(4)
  })

  it('ends a request that is past its time, and goes on with the others', async () => {
    const { batcher, runs } = newBatcher({ mostRows: () => 1, limitMs: 45 })
    const [long, short] = [codeOf(batcher.submit(rows('long', 100))), codeOf(batcher.submit(rows('short', 2)))]
    expect(await Promise.all([long, short])).toEqual(['DEADLINE_EXCEEDED', 'answered'])
    expect(runs).toEqual(['long', 'short', 'long', 'short', 'long'])
  })

  it('refuses what could not end in time behind the others, with the seconds until it could', async () => {
    const { batcher, clock } = newBatcher({ costMs: () => 1_000, mostRows: () => 1, limitMs: 100_000 })
    // 200 ms a token, once it was measured.
    for (let round = 0; round < 60; round++) await batcher.submit(rows('first', 1))
    const waiting = [...'abcdefghij'].map((of) => codeOf(batcher.submit(rows(of, 10))))
    const refused = await batcher.submit(rows('late', 10)).catch((error: unknown) => error)
    // 11 requests of 10 rows would run before it ends, 110 s.
    expect(refused).toMatchObject({ status: 429, retryable: true, retryAfterSeconds: 10 })
    expect(await codeOf(batcher.submit(rows('short', 1)))).toBe('answered')
    expect(clock.ms).toBeLessThan(90_000)
    await Promise.all(waiting)
  })

  it('bounds the requests and the tokens that wait, but never refuses the only one', async () => {
    const { batcher } = newBatcher({ queueRequests: 2, queueTokens: 100 })
    const [large, second] = [codeOf(batcher.submit(rows('large', 30))), codeOf(batcher.submit(rows('b', 1)))]
    expect(await Promise.all([large, second, codeOf(batcher.submit(rows('c', 1)))])).toEqual([
      'answered',
      'RESOURCE_EXHAUSTED',
      'RESOURCE_EXHAUSTED',
    ])
    const three = [...'abc'].map((of) => codeOf(batcher.submit(rows(of, 1))))
    expect(await Promise.all(three)).toEqual(['answered', 'answered', 'RESOURCE_EXHAUSTED'])
  })

  it('learns the time of a token also where the clock stands still while code runs', async () => {
    const clock = { ms: 0 }
    let pendingMs = 0
    const batcher = new Batcher<Row>({
      lengthOf: ({ length }) => length,
      mostRows: () => 1,
      run: () => {
        pendingMs += 500
      },
      now: () => clock.ms,
      nextTurn: async () => {
        clock.ms += pendingMs
        pendingMs = 0
      },
      limitMs: 10_000,
    })
    for (let round = 0; round < 60; round++) await batcher.submit(rows('first', 1))
    const waiting = codeOf(batcher.submit(rows('a', 15)))
    expect(await codeOf(batcher.submit(rows('b', 15)))).toBe('RESOURCE_EXHAUSTED')
    expect(await waiting).toBe('answered')
  })
})
