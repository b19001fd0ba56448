import { beforeAll, describe, expect, it } from 'vitest'
import type { GenerationEvent } from '#contracts/generation.ts'
import { generate } from '#src/engine/generation/generate.ts'
import { PrefixCache } from '#src/engine/generation/prefix-cache.ts'
import { TenantQueue } from '#src/engine/generation/tenant-queue.ts'
import { nextTurn } from '#src/engine/next-turn.ts'
import { OrtTrapped } from '#src/engine/ort/error.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { bootNodeOrt } from '../../support/node-ort.ts'
import { collect, type Loaded, loadTextModel, only, requestOf, rescheduled, textOf, tinyStories } from './support.ts'

const prompt = 'Once upon a time'
const endless = { maxTokens: 400, ignoreEos: true }

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

describe(`one place ${tinyStories.missing}`, () => {
  let loaded: Loaded
  beforeAll(async () => {
    if (!tinyStories.missing) loaded = await loadTextModel(ort, tinyStories)
  })
  const facts = it.skipIf(tinyStories.missing !== '')

  facts.each(['the signal', 'leaving the iteration'])('is free within one step of %s', async (way) => {
    const { model, decoder } = rescheduled(loaded, { rows: 1 })
    const abort = new AbortController()
    const events = (await generate(model, requestOf(prompt, endless), abort.signal))[Symbol.asyncIterator]()
    for (let at = 0; at < 4; at++) await events.next()
    const next = collect(generate(model, requestOf(prompt, { maxTokens: 3 })))
    let steps = 0
    const step = decoder.step.bind(decoder)
    decoder.step = (rows, tokens) => {
      steps++
      return step(rows, tokens)
    }
    if (way === 'the signal') abort.abort()
    else await events.return?.()
    expect(textOf(await next)).toBe(', there was')
    // Two of its own, after the token that the prompt gives, and at most one of the one that left.
    expect(steps).toBeLessThanOrEqual(3)
  })

  facts('a stream that is cut off ends with the reason', async () => {
    const { model } = rescheduled(loaded)
    const abort = new AbortController()
    const events: GenerationEvent[] = []
    for await (const event of await generate(model, requestOf(prompt, endless), abort.signal)) {
      events.push(event)
      if (event.type === 'text-delta') abort.abort()
    }
    expect(events.at(-1)).toMatchObject({ type: 'failed', error: { code: 'CANCELLED' } })
    await expect(generate(model, requestOf(prompt), abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  facts('one more than may wait is told when to come back', async () => {
    const { model } = rescheduled(loaded, { rows: 1 }, { queueLimit: 2 })
    const abort = new AbortController()
    const running = await generate(model, requestOf(prompt, endless), abort.signal)
    const waiting = [1, 2].map(() => collect(generate(model, requestOf(prompt, { maxTokens: 2 }))))
    await expect(generate(model, requestOf(prompt))).rejects.toMatchObject({
      status: 429,
      retryable: true,
      retryAfterSeconds: expect.toSatisfy((seconds: number) => seconds >= 1 && seconds <= 60),
      message: expect.stringContaining('2 text generations wait'),
    })
    abort.abort()
    for (const events of await Promise.all(waiting)) expect(textOf(events)).toBe(', there')
    await Array.fromAsync(running)
  })

  facts('past the deadline those who wait are refused and those who write are cut off', async () => {
    let nowMs = 0
    const yieldTurn = async () => {
      nowMs += 10
      await nextTurn()
    }
    const { model } = rescheduled(loaded, { rows: 1 }, { now: () => nowMs, yieldTurn })
    const running = collect(generate(model, requestOf(prompt, { ...endless, deadlineMs: 200 })))
    const waiting = generate(model, requestOf(prompt, { deadlineMs: 100 }))
    await expect(waiting).rejects.toMatchObject({ status: 504, message: expect.stringContaining('100 ms') })
    expect((await running).at(-1)).toMatchObject({ type: 'failed', error: { code: 'DEADLINE_EXCEEDED' } })
    expect(textOf(await collect(generate(model, requestOf(prompt, { maxTokens: 2 }))))).toBe(', there')
  })

  facts('a tenant who asks for much keeps nobody else waiting', async () => {
    const { model } = rescheduled(loaded, { rows: 1 })
    const order: string[] = []
    const ask = async (tenant: string) => {
      await collect(generate(model, requestOf(prompt, { tenant, maxTokens: 2 })))
      order.push(tenant)
    }
    await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(ask))
    expect(order).toEqual(['a', 'a', 'b', 'c', 'a', 'b', 'a'])
  })

  facts('a long prompt holds up those who write by one chunk for each token', async () => {
    const { model, decoder } = rescheduled(loaded)
    const order: string[] = []
    const [read, step] = [decoder.read.bind(decoder), decoder.step.bind(decoder)]
    decoder.read = (row, tokens) => {
      if (tokens.length > 1) order.push('read')
      return read(row, tokens)
    }
    decoder.step = (rows, tokens) => {
      order.push('step')
      return step(rows, tokens)
    }
    const writing = collect(generate(model, requestOf(prompt, { maxTokens: 30 })))
    const long = Array.from({ length: 200 }, (_, index) => 3 + (index % 300))
    await collect(generate(model, requestOf(long, { maxTokens: 2 })))
    await writing
    expect(order.join(' ')).not.toContain('read read')
    expect(order.filter((kind) => kind === 'read')).toHaveLength(1 + 7)
  })

  facts('requests beyond the memory wait for it', async () => {
    const { model, decoder } = rescheduled(loaded, { cacheBytes: 1280 * 200 })
    let most = 0
    const step = decoder.step.bind(decoder)
    decoder.step = (rows, tokens) => {
      most = Math.max(most, rows.length)
      return step(rows, tokens)
    }
    const requests = Array.from({ length: 6 }, () => collect(generate(model, requestOf(prompt, { maxTokens: 45 }))))
    const texts = (await Promise.all(requests)).map((events) => textOf(events))
    expect(new Set(texts).size).toBe(1)
    expect(most).toBe(3)
  })

  facts(
    'an engine that stops ends those it was writing for; the others may ask elsewhere, and it says so',
    async () => {
      const { model, decoder } = rescheduled(loaded, { rows: 1 })
      decoder.step = () => {
        throw new OrtTrapped('a run', new Error('unreachable'))
      }
      const running = collect(generate(model, requestOf(prompt)))
      const waiting = generate(model, requestOf(prompt))
      await expect(waiting).rejects.toMatchObject({ status: 503, code: 'TEMPORARILY_UNAVAILABLE' })
      expect((await running).at(-1)).toMatchObject({ type: 'failed', error: { status: 500 } })
      expect(model.scheduler.broken).toContain('unreachable')
      await expect(generate(model, requestOf(prompt))).rejects.toMatchObject({ status: 503 })
    },
  )

  facts('an engine that stops over a prompt tells those that write beside it to ask again', async () => {
    const { model, decoder } = rescheduled(loaded)
    const beside = collect(generate(model, requestOf(prompt, { maxTokens: 40 })))
    const read = decoder.read.bind(decoder)
    decoder.read = (row, tokens) => {
      if (tokens.includes(500)) throw new OrtTrapped('a run', new Error('unreachable'))
      return read(row, tokens)
    }
    const events = await collect(generate(model, requestOf([1, 500])))
    expect(events).toMatchObject([{ type: 'failed', error: { status: 500, retryable: false } }])
    expect((await beside).at(-1)).toMatchObject({ type: 'failed', error: { status: 503, retryable: true } })
  })

  facts('pieces of a prompt end where their position says, whoever writes meanwhile', async () => {
    const pieceTokens = (position: number) => (position < 64 ? 16 : 8)
    const { model, decoder } = rescheduled(loaded, {}, { pieceTokens })
    const lengths: number[] = []
    const read = decoder.read.bind(decoder)
    decoder.read = (row, tokens) => {
      lengths.push(tokens.length)
      return read(row, tokens)
    }
    const long = Array.from({ length: 101 }, (_, index) => 3 + (index % 300))
    const ask = (tenant: string) => collect(generate(model, requestOf(long, { maxTokens: 8, topLogprobs: 2, tenant })))
    const alone = await ask('one')
    const cut = [16, 16, 16, 16, 8, 8, 8, 8, 5]
    expect(lengths).toEqual(cut)
    const writing = collect(generate(model, requestOf(prompt, { maxTokens: 40, tenant: 'two' })))
    const [beside, kept] = [await ask('two'), await ask('one')]
    await writing
    expect(lengths.slice(cut.length)).toEqual([5, ...cut, 5])
    expect(only(kept, 'prompt-read').cachedTokens).toBe(96)
    const texts = [alone, beside, kept].map((events) => events.filter(({ type }) => type === 'text-delta'))
    expect(texts).toEqual([texts[0], texts[0], texts[0]])
  })

  facts('what the graph refuses ends its own request and no other', async () => {
    const { model, decoder } = rescheduled(loaded)
    const other = collect(generate(model, requestOf(prompt, { maxTokens: 20 })))
    const read = decoder.read.bind(decoder)
    // A token beyond the vocabulary, which the prompt reader would refuse.
    decoder.read = (row, tokens) =>
      read(
        row,
        tokens.map((token) => (token === 500 ? 100_000 : token)),
      )
    const events = await collect(generate(model, requestOf([1, 500])))
    expect(events).toMatchObject([{ type: 'failed', error: { status: 400, modelTrace: expect.stringContaining('') } }])
    expect(only(await other, 'usage-final').usage.completionTokens).toBe(20)
  })
})

describe('kept prefixes', () => {
  const blockBytes = 1024
  const save = () => ort.malloc(blockBytes)

  it('make room by dropping what was not used for longest, ends before beginnings', () => {
    const cache = new PrefixCache(ort, { blockBytes, boundBytes: 3 * blockBytes })
    const first = cache.add('a', null, [1, 2], save)!
    const second = cache.add('a', first, [3, 4], save)!
    const other = cache.add('a', null, [5, 6], save)!
    cache.find('a', null, [1, 2])
    const third = cache.add('a', first, [7, 8], save)!
    expect([first, second, other, third].map((chunk) => cache.has(chunk))).toEqual([true, false, true, true])
    expect(cache.find('a', first, [3, 4])).toBeNull()
    expect(cache.bytes).toBe(3 * blockBytes)
  })

  it('refuse what has no room beside its own beginning', () => {
    const cache = new PrefixCache(ort, { blockBytes, boundBytes: 2 * blockBytes })
    const first = cache.add('a', null, [1], save)!
    const second = cache.add('a', first, [2], save)!
    expect(cache.add('a', second, [3], save)).toBeNull()
    expect(cache.find('a', first, [2])).toBe(second)
  })

  it('are found by their own tenant alone', () => {
    const cache = new PrefixCache(ort, { blockBytes, boundBytes: 4 * blockBytes })
    const chunk = cache.add('a', null, [1], save)
    expect(cache.find('b', null, [1])).toBeNull()
    expect(cache.find('a', null, [1])).toBe(chunk)
  })

  it('of nothing are kept where there is no memory for one', () => {
    const cache = new PrefixCache(ort, { blockBytes, boundBytes: blockBytes - 1 })
    expect(cache.add('a', null, [1], save)).toBeNull()
    expect(cache.bytes).toBe(0)
  })
})

describe('a queue of tenants', () => {
  it('serves them in turn, each in order, and forgets who has left', () => {
    const queue = new TenantQueue<{ tenant: string; name: string }>()
    const items = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => ({ tenant: name[0]!, name }))
    for (const item of items) queue.push(item)
    queue.remove(items[1]!)
    queue.remove(items[4]!)
    expect(queue.size).toBe(4)
    expect([...queue].map(({ name }) => name)).toEqual(['a1', 'a3', 'b1', 'b2'])
    expect([1, 2, 3, 4, 5].map(() => queue.shift()?.name)).toEqual(['a1', 'b1', 'a3', 'b2', undefined])
  })
})
