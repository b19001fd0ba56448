import { describe, expect, it } from 'vitest'
import { singleFlight } from '#model-cache/single-flight.ts'
import { settled } from './support/counted-store.ts'

describe('singleFlight', () => {
  it('does the work once for fifty callers at once', async () => {
    const flights = singleFlight<string, number>()
    let works = 0
    const work = async () => {
      await settled()
      return ++works
    }
    const results = await Promise.all(Array.from({ length: 50 }, () => flights.run('shard', work)))
    expect(results).toEqual(Array.from({ length: 50 }, () => 1))
  })

  it('does the work of each key', async () => {
    const flights = singleFlight<string, string>()
    const results = await Promise.all(['a', 'b'].map((key) => flights.run(key, async () => key)))
    expect(results).toEqual(['a', 'b'])
  })

  it('starts anew once the work is done', async () => {
    const flights = singleFlight<string, number>()
    let works = 0
    await flights.run('shard', async () => ++works)
    expect(await flights.run('shard', async () => ++works)).toBe(2)
  })

  it('tells every caller of a failure and does not keep it', async () => {
    const flights = singleFlight<string, number>()
    const fail = () => Promise.reject(new Error('origin down'))
    const results = await Promise.allSettled([flights.run('shard', fail), flights.run('shard', fail)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await flights.run('shard', async () => 1)).toBe(1)
  })

  it('turns a throw into a rejection', async () => {
    const flights = singleFlight<string, number>()
    const work = () => {
      throw new Error('at once')
    }
    await expect(flights.run('shard', work)).rejects.toThrow('at once')
  })

  it('rejects only the caller who leaves', async () => {
    const flights = singleFlight<string, number>()
    const left = new AbortController()
    const gate = Promise.withResolvers<number>()
    let inner: AbortSignal | undefined
    const work = (signal: AbortSignal) => {
      inner = signal
      return gate.promise
    }
    const leaving = flights.run('shard', work, { signal: left.signal })
    const staying = flights.run('shard', work)
    await settled()
    left.abort(new Error('left'))
    await expect(leaving).rejects.toThrow('left')
    expect(inner?.aborted).toBe(false)
    gate.resolve(5)
    expect(await staying).toBe(5)
  })

  it('cancels the work when the last caller leaves, and lets nobody join it any more', async () => {
    const flights = singleFlight<string, number>()
    const callers = [new AbortController(), new AbortController()]
    let inner: AbortSignal | undefined
    const work = (signal: AbortSignal) => {
      inner = signal
      return new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const runs = callers.map(({ signal }) => flights.run('shard', work, { signal }))
    await settled()
    for (const caller of callers) caller.abort(new Error('left'))
    for (const run of runs) await expect(run).rejects.toThrow('left')
    expect(inner?.aborted).toBe(true)
    expect(await flights.run('shard', async () => 1)).toBe(1)
  })

  it('does not start for a caller who has left before', async () => {
    const flights = singleFlight<string, number>()
    let works = 0
    const signal = AbortSignal.abort(new Error('left'))
    await expect(flights.run('shard', async () => ++works, { signal })).rejects.toThrow('left')
    expect(works).toBe(0)
  })
})
