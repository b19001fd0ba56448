import { beforeAll, describe, expect, it } from 'vitest'
import type { GenerationEvent } from '#contracts/generation.ts'
import { generate } from '#src/engine/generation/generate.ts'
import { nextTurn } from '#src/engine/next-turn.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { bootNodeOrt } from '../../support/node-ort.ts'
import {
  collect,
  type Loaded,
  loadTextModel,
  nextBlock,
  only,
  requestOf,
  rescheduled,
  seeded,
  story,
  textOf,
  tinyStories,
} from './support.ts'

const prompts = [
  'Once upon a time',
  'The little fox',
  'One day, Lily and her mom went to the park. They saw a big dog and',
  'Tim had a red ball.',
  'It was a dark night and the owl',
  'She said, "',
  'A',
  'There was once a King who had three sons, and the youngest of them was so kind that',
]

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

describe.for([tinyStories, story])('$name', (description) => {
  const { missing } = description
  let loaded: Loaded
  beforeAll(async () => {
    if (!missing) loaded = await loadTextModel(ort, description)
  })
  const ask = (...request: Parameters<typeof requestOf>) => collect(generate(loaded.model, requestOf(...request)))

  it('eight prompts at once are answered as each alone, token for token', async ({ skip }) => {
    skip(missing !== '', missing)
    const requests = prompts.map((prompt, index) =>
      requestOf(prompt, { sampling: seeded(index), topLogprobs: 1, maxTokens: 12 + 4 * index, tenant: `${index}` }),
    )
    const together = await Promise.all(requests.map((request) => collect(generate(loaded.model, request))))
    for (const [index, request] of requests.entries()) {
      const alone = await collect(generate(loaded.model, request))
      expect(withoutTimes(alone)).toEqual(withoutTimes(together[index]!))
    }
  })

  it('choices share one reading of the prompt, differ, and do not depend on how many there are', async ({ skip }) => {
    skip(missing !== '', missing)
    const [three, two] = [
      await ask(prompts[0]!, { choices: 3, sampling: seeded(7) }),
      await ask(prompts[0]!, { choices: 2, sampling: seeded(7) }),
    ]
    expect([0, 1].map((choice) => textOf(two, choice))).toEqual([0, 1].map((choice) => textOf(three, choice)))
    expect(new Set([0, 1, 2].map((choice) => textOf(three, choice))).size).toBe(3)
    const { usage } = only(three, 'usage-final')
    expect(usage).toMatchObject({ promptTokens: only(three, 'prompt-read').promptTokens, completionTokens: 96 })
  })

  it('a prompt whose beginning is kept is answered with the same bits', async ({ skip }) => {
    skip(missing !== '', missing)
    const tokens = Array.from({ length: 100 }, (_, index) => 3 + ((index * 53) % 400))
    const details = { sampling: seeded(3), topLogprobs: 3, tenant: 'two' }
    const [first, second] = [await ask(tokens, details), await ask(tokens, details)]
    expect(only(first, 'prompt-read').cachedTokens).toBe(0)
    expect(only(second, 'usage-final').usage.cachedTokens).toBe(96)
    expect(second.filter(isText)).toEqual(first.filter(isText))

    const longer = [...tokens.slice(0, 70), ...tokens]
    const branched = await ask(longer, details)
    expect(only(branched, 'prompt-read').cachedTokens).toBe(64)
    const elsewhere = await ask(longer, { ...details, tenant: 'three' })
    expect(only(elsewhere, 'prompt-read').cachedTokens).toBe(0)
    expect(elsewhere.filter(isText)).toEqual(branched.filter(isText))
  })

  it('the last token is read even where all chunks are kept', async ({ skip }) => {
    skip(missing !== '', missing)
    const tokens = Array.from({ length: 64 }, (_, index) => 3 + ((index * 31) % 400))
    const [first, second] = [await ask(tokens, { tenant: 'four' }), await ask(tokens, { tenant: 'four' })]
    expect(only(second, 'prompt-read').cachedTokens).toBe(32)
    expect(textOf(second)).toBe(textOf(first))
  })

  it('sixteen long streams stay within the heap that there is', async ({ skip }) => {
    skip(missing !== '', missing)
    const small = await bootNodeOrt()
    const heapLimitBytes = 36 * 2 ** 20
    small.heapLimitBytes = heapLimitBytes
    const { model } = await loadTextModel(small, description, { heapLimitBytes })
    const requests = prompts.flatMap((prompt, index) =>
      [20, 80].map((maxTokens) => requestOf(prompt, { maxTokens, ignoreEos: true, sampling: seeded(index) })),
    )
    const answers = await Promise.all(requests.map((request) => collect(generate(model, request))))
    const tokens = answers.map((events) => only(events, 'usage-final').usage.completionTokens)
    expect(tokens).toEqual(requests.map(({ maxTokens }) => maxTokens))
    expect(small.heapBytes).toBeLessThanOrEqual(heapLimitBytes)
  })

  it('200 streams that are left early leave nothing behind', async ({ skip }) => {
    skip(missing !== '', missing)
    let [block, heapBytes] = [0, 0]
    for (let round = 0; round < 200; round++) {
      const abort = new AbortController()
      const request = requestOf(prompts[round % 8]!, { sampling: seeded(round), tenant: 'five' })
      const events = await generate(loaded.model, request, round % 2 ? abort.signal : undefined)
      for await (const event of events) {
        if (event.type !== 'text-delta') continue
        if (round % 2) abort.abort()
        else break
      }
      if (round === 100) [block, heapBytes] = [nextBlock(ort, 2 ** 20), ort.heapBytes]
    }
    expect(ort.heapBytes).toBe(heapBytes)
    expect(nextBlock(ort, 2 ** 20)).toBeLessThanOrEqual(block)
    expect(textOf(await ask(prompts[0]!, { sampling: seeded(1) }))).toBe(
      textOf(await ask(prompts[0]!, { sampling: seeded(1) })),
    )
  })
})

describe(`requests ${tinyStories.missing}`, () => {
  let loaded: Loaded
  beforeAll(async () => {
    if (!tinyStories.missing) loaded = await loadTextModel(ort, tinyStories)
  })
  const ask = (...request: Parameters<typeof requestOf>) => collect(generate(loaded.model, requestOf(...request)))
  const facts = it.skipIf(tinyStories.missing !== '')

  facts('events come in order and add up', async () => {
    const events = await ask('Once upon a time', { maxTokens: 5 })
    expect(events.map(({ type }) => type)).toEqual([
      'prompt-read',
      ...Array<string>(5).fill('text-delta'),
      'choice-end',
      'usage-final',
    ])
    expect(textOf(events)).toBe(', there was a little')
    expect(only(events, 'choice-end')).toMatchObject({ finishReason: 'length', stopText: null })
    expect(only(events, 'usage-final').usage).toMatchObject({ promptTokens: 5, completionTokens: 5, cachedTokens: 0 })
  })

  facts('no tokens wanted only counts those of the prompt', async () => {
    const events = await ask('Once upon a time', { maxTokens: 0 })
    expect(events.map(({ type }) => type)).toEqual(['prompt-read', 'usage-final'])
    expect(only(events, 'usage-final').usage.promptTokens).toBe(5)
    const echoed = await ask('Once upon a time', { maxTokens: 0, echo: true, choices: 2 })
    expect([0, 1].map((choice) => textOf(echoed, choice))).toEqual(['Once upon a time', 'Once upon a time'])
    expect(echoed.filter(({ type }) => type === 'choice-end')).toHaveLength(2)
  })

  facts('a reader who takes nothing pauses the model, and reads the same text once he goes on', async () => {
    const { model, decoder } = rescheduled(loaded)
    let steps = 0
    const step = decoder.step.bind(decoder)
    decoder.step = (rows, tokens) => {
      steps += rows.length
      return step(rows, tokens)
    }
    const request = requestOf('Once upon a time', { maxTokens: 400, ignoreEos: true, sampling: seeded(3) })
    const reader = (await generate(model, request))[Symbol.asyncIterator]()
    for (let turn = 0; turn < 1_000; turn++) await nextTurn()
    expect(steps).toBeGreaterThan(200)
    expect(steps).toBeLessThan(300)
    const events = await Array.fromAsync({ [Symbol.asyncIterator]: () => reader })
    expect(textOf(events)).toBe(textOf(await collect(generate(model, request))))
    expect(only(events, 'usage-final').usage.completionTokens).toBe(400)
  })

  facts('a reader who takes nothing until the deadline loses his place to the next', async () => {
    const { model } = rescheduled(loaded, { rows: 1 })
    const endless = { maxTokens: 400, ignoreEos: true, deadlineMs: 1_000 }
    const stalled = await generate(model, requestOf('Once upon a time', endless))
    expect(textOf(await ask('Once upon a time', { maxTokens: 3 }))).toBe(
      textOf(await collect(generate(model, requestOf('Once upon a time', { maxTokens: 3 })))),
    )
    const events = await Array.fromAsync(stalled)
    expect(events.at(-1)).toMatchObject({ type: 'failed', error: { status: 504, code: 'DEADLINE_EXCEEDED' } })
  })

  facts('a stop text ends the choice and is no part of it', async () => {
    const events = await ask('Once upon a time', { stop: ['nothing', 'girl'], maxTokens: 64 })
    expect(textOf(events)).toBe(', there was a little ')
    expect(only(events, 'choice-end')).toMatchObject({ finishReason: 'stop', stopText: 'girl' })
  })

  facts('the end token ends the choice, unless it is ignored', async () => {
    const request = { sampling: { ...seeded(1), logitBias: { 2: 100 } }, maxTokens: 8 }
    const ended = await ask('Once upon a time', request)
    expect(only(ended, 'choice-end').finishReason).toBe('stop')
    expect(only(ended, 'usage-final').usage.completionTokens).toBe(0)
    const ignored = await ask('Once upon a time', { ...request, ignoreEos: true })
    expect(only(ignored, 'choice-end').finishReason).toBe('length')
    expect(only(ignored, 'usage-final').usage.completionTokens).toBe(8)
    expect(textOf(ignored)).toBe('')
  })

  facts('echo leads each choice with the prompt', async () => {
    const events = await ask('Once upon a time', { echo: true, choices: 2, maxTokens: 3 })
    expect([0, 1].map((choice) => textOf(events, choice))).toEqual(Array<string>(2).fill('Once upon a time, there was'))
  })

  facts('log probabilities come with the text of their tokens', async () => {
    const events = await ask('Once upon a time', { topLogprobs: 2, maxTokens: 4 })
    const tokens = events.flatMap((event) => (event.type === 'text-delta' ? (event.logprobs ?? []) : []))
    expect(tokens.map(({ token }) => token).join('')).toBe(textOf(events))
    for (const { token, logprob, top } of tokens) {
      expect(top).toHaveLength(2)
      expect(top[0]).toMatchObject({ token, logprob })
    }
  })

  facts('a choice ends with the context', async () => {
    const tokens = Array.from({ length: 500 }, (_, index) => 3 + (index % 400))
    const events = await ask(tokens, { maxTokens: 100, ignoreEos: true })
    expect(only(events, 'usage-final').usage.completionTokens).toBe(12)
    expect(only(events, 'choice-end').finishReason).toBe('length')
  })

  facts('a prompt that fills the context is refused with both numbers', async () => {
    await expect(ask(Array.from({ length: 512 }, () => 3))).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/512.*512/),
    })
  })

  facts('more choices than memory has room for are refused', async () => {
    const small = rescheduled(loaded, { cacheBytes: 512 * 1280 * 2 })
    const request = requestOf(
      Array.from({ length: 300 }, () => 3),
      { choices: 4 },
    )
    await expect(generate(small.model, request)).rejects.toMatchObject({ status: 400, field: 'n' })
    small.decoder.reset()
  })

  facts('a constrained text is whole within its tokens, with any seed and any room', async () => {
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name', 'age'],
    }
    const constraint = { kind: 'json-schema', schema } as const
    for (const [seed, maxTokens] of [
      [1, 20],
      [2, 30],
      [3, 64],
    ] as const) {
      const events = await ask('Once upon a time', { constraint, sampling: seeded(seed), maxTokens })
      expect(JSON.parse(textOf(events))).toMatchObject({ name: expect.any(String), age: expect.any(Number) })
      expect(only(events, 'choice-end').finishReason).toBe('stop')
    }
  })

  facts('a constraint that needs more tokens than there are is refused with both numbers', async () => {
    const constraint = { kind: 'choice', choices: ['Once upon a time there was a girl'] } as const
    await expect(ask('One day', { constraint, maxTokens: 3 })).rejects.toMatchObject({
      field: 'max_tokens',
      message: expect.stringMatching(/at least \d+ tokens; there is room for 3/),
    })
  })

  facts('a forced call of a tool comes as a call', async () => {
    const parameters = { type: 'object', properties: { city: { enum: ['Bern', 'Oslo'] } }, required: ['city'] }
    const request = requestOf('', {
      prompt: {
        kind: 'messages',
        messages: [{ role: 'user', content: 'Weather?' }],
        tools: [{ name: 'weather', parameters }],
        toolChoice: 'required',
        parallelToolCalls: false,
      },
      maxTokens: 100,
    })
    const events = await collect(generate(loaded.model, request))
    const { id, name } = only(events, 'tool-call-start')
    expect([id, name]).toEqual([expect.stringMatching(/^call_\w{24}$/), 'weather'])
    const written = events.map((event) => (event.type === 'tool-call-delta' ? event.arguments : '')).join('')
    expect(['Bern', 'Oslo']).toContain((JSON.parse(written) as { city: string }).city)
    expect(only(events, 'choice-end').finishReason).toBe('tool-calls')
  })

  facts('rows of a table come back with their continuation', async () => {
    const task = await textGenerationTask.load(loaded.context)
    const reply = await task.invoke({
      inputs: { text: { dtype: 'string', shape: [2], strings: ['Once upon a time', 'One day'] } },
      params: { max_tokens: 4, temperature: 0 },
    })
    expect(reply.rows?.[0]).toEqual({ generated_text: 'Once upon a time, there was a' })
    expect(reply.outputs.generated_text).toMatchObject({ shape: [2] })
    expect(reply.usage.promptTokens).toBe(5 + 3)
  })

  facts('rows of a table with an unknown temperature are refused by name', async () => {
    const task = await textGenerationTask.load(loaded.context)
    const inputs = { text: { dtype: 'string', shape: [1], strings: ['a'] } } as const
    await expect(task.invoke({ inputs, params: { temperature: 'hot' } })).rejects.toMatchObject({
      field: 'temperature',
    })
  })
})

function isText(event: GenerationEvent): boolean {
  return event.type === 'text-delta'
}

function withoutTimes(events: readonly GenerationEvent[]): unknown[] {
  return events.map((event) => {
    if (event.type === 'prompt-read') return event.promptTokens
    return event.type === 'usage-final' ? event.usage.completionTokens : event
  })
}
