/** OpenAI's completions over scripted events. */
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import { done, end, eventsOf, read, saying, scriptedGateway, text, toolCall } from '../support/scripted-generation.ts'

function clientOf(gateway: ReturnType<typeof scriptedGateway>): OpenAI {
  return new OpenAI({ baseURL: 'http://glim/v1', apiKey: 'x', maxRetries: 0, fetch: gateway.fetch })
}

/** Answers a prompt with itself, twice over. */
function echoing({ prompt, choices }: GenerationRequest): GenerationEvent[] {
  const said = prompt.kind === 'text' ? prompt.text : prompt.kind === 'tokens' ? prompt.tokens.join('-') : ''
  const numbers = Array.from({ length: choices }, (_, choice) => choice)
  return [
    read,
    ...numbers.map((choice) => text(said, choice)),
    ...numbers.map((choice) => text(`/${choice}`, choice)),
    ...numbers.map((choice) => end('stop', null, choice)),
    done,
  ]
}

describe('a completion', () => {
  it('has every field of the shape', async () => {
    const gateway = scriptedGateway(() => saying('Once', ' more'))
    const reply = await gateway.send('/v1/completions', { model: 'tale', prompt: 'Say' })
    expect(JSON.parse(reply.text)).toEqual({
      id: 'cmpl-00000000000040008000000000000001',
      object: 'text_completion',
      created: 1_700_000_000,
      model: 'tale',
      system_fingerprint: 'fp_ababababab',
      choices: [{ index: 0, text: 'Once more', logprobs: null, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 7,
        completion_tokens: 3,
        total_tokens: 10,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    })
    expect(gateway.requests[0]).toMatchObject({ prompt: { kind: 'text', text: 'Say' }, maxTokens: 16, echo: false })
  })

  it('of no tokens is the prompt that is to be repeated, and nothing else', async () => {
    const gateway = scriptedGateway(() => [read, text('Say'), end('length'), done])
    const asked = { model: 'tale', prompt: 'Say', max_tokens: 0 }
    const { choices } = await clientOf(gateway).completions.create({ ...asked, echo: true })
    expect(choices).toEqual([{ index: 0, text: 'Say', logprobs: null, finish_reason: 'length' }])
    expect(gateway.requests[0]).toMatchObject({ maxTokens: 0, echo: true })
    for (const [fields, param] of [
      [{}, 'max_tokens'],
      [{ echo: true, logprobs: 0 }, 'logprobs'],
    ] as const) {
      const reply = await gateway.send('/v1/completions', { ...asked, ...fields })
      expect([reply.status, JSON.parse(reply.text).error.param]).toEqual([400, param])
    }
  })

  it.each<[string, string | string[] | number[] | number[][], string[]]>([
    ['a string', 'a', ['a/0', 'a/1']],
    ['several strings', ['a', 'b', 'c'], ['a/0', 'a/1', 'b/0', 'b/1', 'c/0', 'c/1']],
    ['token ids', [1, 2], ['1-2/0', '1-2/1']],
    ['several lists of token ids', [[1], [2, 3]], ['1/0', '1/1', '2-3/0', '2-3/1']],
  ])('numbers the choices of %s through, streamed or not', async (_what, prompt, texts) => {
    const gateway = scriptedGateway(echoing)
    const asked = { model: 'tale', prompt, n: 2, echo: true }
    const { choices, usage } = await clientOf(gateway).completions.create(asked)
    expect(choices.map(({ index, text }) => [index, text])).toEqual(texts.map((text, index) => [index, text]))
    expect(usage!.prompt_tokens).toBe((7 * texts.length) / 2)

    const streamed = texts.map(() => '')
    const stream = await clientOf(gateway).completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    })
    for await (const chunk of stream) {
      for (const choice of chunk.choices) streamed[choice.index] += choice.text
      if (chunk.choices.length === 0) expect(chunk.usage).toEqual(usage)
    }
    expect(streamed).toEqual(texts)
    expect(gateway.requests.every(({ echo }) => echo)).toBe(true)
    expect(gateway.rows.map(({ status, promptTokens }) => [status, promptTokens])).toEqual([
      [200, usage!.prompt_tokens],
      [200, usage!.prompt_tokens],
    ])
  })

  it('lists log probabilities in parallel, with places in the text that go on from chunk to chunk', async () => {
    const token = (text: string, logprob: number): GenerationEvent => ({
      type: 'text-delta',
      choice: 0,
      text,
      logprobs: [{ token: text, bytes: [], logprob, top: [{ token: 'x', bytes: [], logprob: -9 }] }],
    })
    const gateway = scriptedGateway(() => [read, token('ab', -1), token('c', -2), end(), done])
    const { choices } = await clientOf(gateway).completions.create({ model: 'tale', prompt: 'p', logprobs: 1 })
    expect(choices[0]!.logprobs).toEqual({
      tokens: ['ab', 'c'],
      token_logprobs: [-1, -2],
      top_logprobs: [
        { x: -9, ab: -1 },
        { x: -9, c: -2 },
      ],
      text_offset: [0, 2],
    })
    const stream = await clientOf(gateway).completions.create({ model: 'tale', prompt: 'p', logprobs: 1, stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map((chunk) => chunk.choices[0]!.logprobs?.text_offset)).toEqual([[0], [2], undefined])
  })

  it('counts the echoed prompt in the places of its tokens, streamed or not', async () => {
    const token: GenerationEvent = {
      type: 'text-delta',
      choice: 0,
      text: ' c',
      logprobs: [{ token: ' c', bytes: [], logprob: -1, top: [] }],
    }
    const gateway = scriptedGateway(() => [read, text('a b'), token, end(), done])
    const asked = { model: 'tale', prompt: 'a b', echo: true, logprobs: 0 }
    const { choices } = await clientOf(gateway).completions.create(asked)
    expect(choices[0]).toMatchObject({ text: 'a b c', logprobs: { tokens: [' c'], text_offset: [3] } })
    const chunks = await Array.fromAsync(await clientOf(gateway).completions.create({ ...asked, stream: true }))
    expect(chunks.flatMap((chunk) => chunk.choices[0]!.logprobs?.text_offset ?? [])).toEqual([3])
  })

  it('ends a stream with [DONE] and with data lines only', async () => {
    const gateway = scriptedGateway(() => saying('a'))
    const { text } = await gateway.send('/v1/completions', { model: 'tale', prompt: 'p', stream: true })
    const events = eventsOf(text)
    expect(events.every(({ event }) => event === null)).toBe(true)
    expect(events.map(({ data }) => data).at(-1)).toBe('[DONE]')
    expect(JSON.parse(events[0]!.data)).toMatchObject({ object: 'text_completion', choices: [{ text: 'a' }] })
  })

  it('fails as a whole where one of its prompts does', async () => {
    const gateway = scriptedGateway(({ prompt }) =>
      prompt.kind === 'text' && prompt.text === 'bad'
        ? [read, { type: 'failed', error: { code: 'BAD_REQUEST', status: 400, message: 'No.' } }]
        : saying('good'),
    )
    const reply = await gateway.send('/v1/completions', { model: 'tale', prompt: ['good', 'bad'] })
    expect([reply.status, JSON.parse(reply.text).error.message]).toEqual([400, 'No.'])
    expect(gateway.rows.map(({ status }) => status)).toEqual([400])
  })
})

describe('the agent form', () => {
  const asked = { model: 'tale', messages: [{ id: 'u1', role: 'user', content: 'hi' }] }
  const calling = [read, text('Let me see.'), ...toolCall(0, 'c1', 'clock', '{', '}'), end('tool-calls'), done]
  const tool_calls = [{ id: 'c1', type: 'function', function: { name: 'clock', arguments: '{}' } }]

  it('answers messages with messages', async () => {
    const gateway = scriptedGateway(() => calling)
    expect(JSON.parse((await gateway.send('/v1/completions', asked)).text)).toMatchObject({
      id: expect.any(String),
      messages: [{ id: expect.any(String), role: 'assistant', content: 'Let me see.', tool_calls }],
    })
    expect(gateway.requests[0]!.prompt).toMatchObject({ messages: [{ role: 'user', content: 'hi' }] })
  })

  it('streams deltas of one message', async () => {
    const gateway = scriptedGateway(() => calling)
    const reply = await gateway.send('/v1/completions', { ...asked, stream: true })
    const events = eventsOf(reply.text).map(({ data }) => data)
    expect(events.pop()).toBe('[DONE]')
    const [first, second] = events.map((data) => JSON.parse(data))
    expect([first.delta, second.delta]).toEqual([
      { id: first.delta.id, role: 'assistant', content: 'Let me see.' },
      { id: first.delta.id, role: 'assistant', content: '', tool_calls },
    ])
  })
})

describe('a body that cannot be', () => {
  it.each<[string, object, string, string]>([
    ['no prompt', {}, 'prompt', 'is missing'],
    ['a prompt of a number', { prompt: 5 }, 'prompt', 'expected a string or a list'],
    ['an empty list', { prompt: [] }, 'prompt', 'at least 1'],
    [
      '65 prompts',
      { prompt: Array.from({ length: 65 }, () => 'x') },
      'prompt',
      '65 prompts are more than the 64 allowed',
    ],
    ['texts and token ids', { prompt: ['x', 5] }, 'prompt[1]', 'the token id 5 came'],
    ['a suffix', { prompt: 'x', suffix: 'y' }, 'suffix', 'is not supported'],
    ['best_of 3', { prompt: 'x', best_of: 3 }, 'best_of', 'choices are not ranked'],
    ['logprobs true', { prompt: 'x', logprobs: true }, 'logprobs', 'expected a number, true came'],
  ])('is refused: %s', async (_what, fields, param, message) => {
    const gateway = scriptedGateway(() => saying('never'))
    const reply = await gateway.send('/v1/completions', { model: 'tale', ...fields })
    const { error } = JSON.parse(reply.text)
    expect([reply.status, error.param]).toEqual([400, param])
    expect(error.message).toContain(message)
  })
})
