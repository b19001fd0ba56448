/** OpenAI's chat completions over scripted events, by hand and with the unmodified client. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText, tool } from 'ai'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { exhausted } from '#contracts/errors.ts'
import {
  done,
  end,
  eventsOf,
  read,
  reasoning,
  saying,
  scriptedGateway,
  text,
  toolCall,
} from '../support/scripted-generation.ts'

const hi = { model: 'tale', messages: [{ role: 'user' as const, content: 'hi' }] }
const openaiUsage = {
  prompt_tokens: 7,
  completion_tokens: 3,
  total_tokens: 10,
  prompt_tokens_details: { cached_tokens: 4 },
  completion_tokens_details: { reasoning_tokens: 1 },
}
const envelope = {
  id: 'chatcmpl-00000000000040008000000000000001',
  created: 1_700_000_000,
  model: 'tale',
  system_fingerprint: 'fp_ababababab',
}

function clientOf(gateway: ReturnType<typeof scriptedGateway>): OpenAI {
  return new OpenAI({ baseURL: 'http://glim/v1', apiKey: 'x', maxRetries: 0, fetch: gateway.fetch })
}

describe('a chat completion', () => {
  it('has every field of the shape', async () => {
    const gateway = scriptedGateway(() => saying('Hel', 'lo'))
    const reply = await gateway.send('/v1/chat/completions', hi)
    expect(JSON.parse(reply.text)).toEqual({
      ...envelope,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: openaiUsage,
    })
    expect(reply.headers.get('served-model-name')).toBe('tale-1')
  })

  it('sets reasoning apart and says null where calls take the place of text', async () => {
    const gateway = scriptedGateway(() => [
      read,
      reasoning('Let me '),
      reasoning('look.'),
      ...toolCall(0, 'call_1', 'weather', '{"city":', '"Rome"}'),
      ...toolCall(1, 'call_2', 'time', '{}'),
      end('tool-calls'),
      done,
    ])
    const { choices } = await clientOf(gateway).chat.completions.create(hi)
    expect(choices[0]).toEqual({
      index: 0,
      logprobs: null,
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: null,
        refusal: null,
        reasoning_content: 'Let me look.',
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
          { id: 'call_2', type: 'function', function: { name: 'time', arguments: '{}' } },
        ],
      },
    })
  })

  it('keeps choices apart', async () => {
    const gateway = scriptedGateway(() => [
      read,
      text('a', 0),
      text('x', 1),
      text('b', 0),
      end('length', null, 1),
      end('stop', null, 0),
      done,
    ])
    const { choices } = await clientOf(gateway).chat.completions.create({ ...hi, n: 2 })
    expect(choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual([
      [0, 'ab', 'stop'],
      [1, 'x', 'length'],
    ])
  })

  it('lists log probabilities with bytes', async () => {
    const logprobs = [
      { token: 'é', bytes: [195, 169], logprob: -0.5, top: [{ token: 'e', bytes: [101], logprob: -1.5 }] },
    ]
    const gateway = scriptedGateway(() => [read, { type: 'text-delta', choice: 0, text: 'é', logprobs }, end(), done])
    const asked = { ...hi, logprobs: true, top_logprobs: 1 }
    const { choices } = await clientOf(gateway).chat.completions.create(asked)
    const content = [
      {
        token: 'é',
        bytes: [195, 169],
        logprob: -0.5,
        top_logprobs: [{ token: 'e', bytes: [101], logprob: -1.5 }],
      },
    ]
    expect(choices[0]!.logprobs).toEqual({ content, refusal: null })
    expect(gateway.requests[0]!.topLogprobs).toBe(1)
    for await (const chunk of await clientOf(gateway).chat.completions.create({ ...asked, stream: true }))
      if (chunk.choices[0]!.delta.content) expect(chunk.choices[0]!.logprobs).toEqual({ content, refusal: null })
  })
})

describe('a streamed chat completion', () => {
  it('is a role, deltas, a reason and [DONE], in data lines only', async () => {
    const gateway = scriptedGateway(() => saying('Hel', 'lo'))
    const reply = await gateway.send('/v1/chat/completions', { ...hi, stream: true })
    expect(reply.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(reply.text.split('\n').every((line) => line === '' || line.startsWith('data: '))).toBe(true)
    const events = eventsOf(reply.text)
    expect(events.at(-1)!.data).toBe('[DONE]')
    const chunk = (delta: object, finish_reason: string | null = null) => ({
      ...envelope,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    })
    expect(events.slice(0, -1).map(({ data }) => JSON.parse(data))).toEqual([
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk({}, 'stop'),
    ])
  })

  it('says the usage once, in a last chunk without choices, where asked to', async () => {
    const gateway = scriptedGateway(() => saying('a', 'b'))
    const stream = await clientOf(gateway).chat.completions.create({
      ...hi,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: openaiUsage })
  })

  it('is put together again by the client: calls, reasoning, two choices', async () => {
    const gateway = scriptedGateway(() => [
      read,
      reasoning('hm'),
      ...toolCall(0, 'call_1', 'weather', '{"city"', ':"Rome"}'),
      ...toolCall(1, 'call_2', 'time', '{}'),
      end('tool-calls'),
      text('other', 1),
      end('stop', null, 1),
      done,
    ])
    const tools = ['weather', 'time'].map((name) => ({ type: 'function' as const, function: { name } }))
    const final = await clientOf(gateway)
      .chat.completions.stream({ ...hi, tools, n: 2 })
      .finalChatCompletion()
    expect(final.choices[0]!.message.tool_calls!.map((call) => 'function' in call && call.function)).toMatchObject([
      { name: 'weather', arguments: '{"city":"Rome"}' },
      { name: 'time', arguments: '{}' },
    ])
    expect(final.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { reasoning_content: 'hm' } })
    expect(final.choices[1]).toMatchObject({ finish_reason: 'stop', message: { content: 'other' } })
  })

  it('that fails says so and does not say [DONE]', async () => {
    const gateway = scriptedGateway(() => [
      read,
      text('Hel'),
      { type: 'failed', error: { code: 'DEADLINE_EXCEEDED', status: 504, message: 'Too late.' } },
    ])
    const reply = await gateway.send('/v1/chat/completions', { ...hi, stream: true })
    const events = eventsOf(reply.text)
    expect(JSON.parse(events.at(-1)!.data)).toEqual({
      error: { message: 'Too late.', type: 'server_error', code: 'deadline_exceeded', param: null },
    })
    const stream = await clientOf(gateway).chat.completions.create({ ...hi, stream: true })
    await expect(Array.fromAsync(stream)).rejects.toThrow('Too late.')
    expect(gateway.rows.map(({ status }) => status)).toEqual([504, 504])
  })
})

describe('clients', () => {
  it('come again after 429, once Retry-After has passed', async () => {
    let attempts = 0
    const gateway = scriptedGateway(() => {
      if (++attempts === 1) throw exhausted('The queue is full.', 1)
      return saying('now')
    })
    const client = new OpenAI({ baseURL: 'http://glim/v1', apiKey: 'x', maxRetries: 1, fetch: gateway.fetch })
    const { choices } = await client.chat.completions.create(hi)
    expect(choices[0]!.message.content).toBe('now')
    expect(gateway.rows.map(({ status }) => status)).toEqual([429, 200])
  })

  it('of the AI SDK read text, reasoning, calls and usage from a stream', async () => {
    const gateway = scriptedGateway(() => [
      read,
      reasoning('hm'),
      text('Let me '),
      text('see.'),
      ...toolCall(0, 'c1', 'clock', '{"zone":', '"UTC"}'),
      end('tool-calls'),
      done,
    ])
    const model = createOpenAICompatible({
      name: 'glim',
      baseURL: 'http://glim/v1',
      includeUsage: true,
      fetch: gateway.fetch as typeof fetch,
    })('tale')
    const result = streamText({
      model,
      prompt: 'Time?',
      tools: { clock: tool({ inputSchema: z.object({ zone: z.string() }) }) },
    })
    expect(await result.text).toBe('Let me see.')
    expect(await result.reasoningText).toBe('hm')
    expect(await result.toolCalls).toMatchObject([{ toolName: 'clock', input: { zone: 'UTC' } }])
    expect(await result.finishReason).toBe('tool-calls')
    expect(await result.usage).toMatchObject({ inputTokens: 7, outputTokens: 3 })
  })
})

describe('what the model is asked', () => {
  it('is every field in its own words', async () => {
    const gateway = scriptedGateway(() => saying('ok'))
    await clientOf(gateway).chat.completions.create({
      model: 'tale',
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          name: 'ann',
          content: [
            { type: 'text', text: 'What ' },
            { type: 'text', text: 'now?' },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'clock', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'noon' },
      ],
      tools: [
        { type: 'function', function: { name: 'clock', description: 'Tells the time.', strict: true } },
        { type: 'function', function: { name: 'map', parameters: { type: 'object', properties: {} } } },
      ],
      tool_choice: { type: 'function', function: { name: 'clock' } },
      parallel_tool_calls: false,
      n: 2,
      max_completion_tokens: 40,
      temperature: 0,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: -0.1,
      logit_bias: { '5': -100 },
      seed: 3,
      stop: ['\n', 'END'],
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } },
      user: 'u',
      store: true,
      metadata: { a: 'b' },
      service_tier: 'auto',
      prompt_cache_key: 'k',
      safety_identifier: 's',
      reasoning_effort: 'low',
      ...({ top_k: 5, min_p: 0.05, repetition_penalty: 1.1, ignore_eos: true } as object),
    })
    expect(gateway.requests).toEqual([
      {
        prompt: {
          kind: 'messages',
          messages: [
            { role: 'developer', content: 'Be brief.' },
            { role: 'user', name: 'ann', content: 'What now?' },
            { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'clock', arguments: '{}' }] },
            { role: 'tool', content: 'noon', toolCallId: 'c1' },
          ],
          tools: [
            // A tool that names no parameters takes none.
            {
              name: 'clock',
              description: 'Tells the time.',
              parameters: { type: 'object', properties: {}, additionalProperties: false },
            },
            { name: 'map', parameters: { type: 'object', properties: {} } },
          ],
          toolChoice: { name: 'clock' },
          parallelToolCalls: false,
        },
        choices: 2,
        maxTokens: 40,
        sampling: {
          temperature: 0,
          topK: 5,
          topP: 0.9,
          minP: 0.05,
          repetitionPenalty: 1.1,
          presencePenalty: 0.1,
          frequencyPenalty: -0.1,
          logitBias: { '5': -100 },
          seed: 3,
        },
        stop: ['\n', 'END'],
        ignoreEos: true,
        topLogprobs: null,
        echo: false,
        constraint: { kind: 'json-schema', schema: { type: 'object' } },
        tenant: 'ann',
        deadlineMs: 120_000,
      },
    ])
  })

  it('leaves what is not said to the model', async () => {
    const gateway = scriptedGateway(() => saying('ok'))
    await gateway.send('/v1/chat/completions', { ...hi, temperature: null, stop: null, tools: null, top_k: -1 })
    expect(gateway.requests[0]).toMatchObject({
      choices: 1,
      maxTokens: null,
      sampling: { temperature: null, topK: 0, topP: null, seed: null, logitBias: {} },
      stop: [],
      constraint: null,
      prompt: { tools: [], toolChoice: 'none', parallelToolCalls: true },
    })
  })

  it.each([
    ['response_format json_object', { response_format: { type: 'json_object' } }, { kind: 'json' }],
    ['guided_regex', { guided_regex: 'a+' }, { kind: 'regex', pattern: 'a+' }],
    ['guided_choice', { guided_choice: ['a', 'b'] }, { kind: 'choice', choices: ['a', 'b'] }],
    ['guided_json as text', { guided_json: '{"type":"null"}' }, { kind: 'json-schema', schema: { type: 'null' } }],
    ['structured_outputs', { structured_outputs: { regex: 'b' } }, { kind: 'regex', pattern: 'b' }],
  ])('follows %s', async (_what, fields, constraint) => {
    const gateway = scriptedGateway(() => saying('ok'))
    await gateway.send('/v1/chat/completions', { ...hi, ...fields })
    expect(gateway.requests[0]!.constraint).toEqual(constraint)
  })

  it('shows the model only the tools that are allowed', async () => {
    const gateway = scriptedGateway(() => saying('ok'))
    const named = (name: string) => ({ type: 'function', function: { name } })
    await gateway.send('/v1/chat/completions', {
      ...hi,
      tools: [named('a'), named('b')],
      tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named('b')] } },
    })
    expect(gateway.requests[0]!.prompt).toMatchObject({ tools: [{ name: 'b' }], toolChoice: 'required' })
  })
})

describe('a body that cannot be', () => {
  const tool = { type: 'function', function: { name: 'clock' } }
  it.each<[string, object, string, string]>([
    ['no messages', { messages: undefined }, 'messages', 'is missing; expected a list'],
    ['an empty conversation', { messages: [] }, 'messages', 'expected at least 1 entries, 0 came'],
    ['an unknown role', { messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', '"robot" came'],
    ['the role function', { messages: [{ role: 'function', content: 'x' }] }, 'messages[0].role', '"function" came'],
    ['a user without content', { messages: [{ role: 'user', content: null }] }, 'messages[0].content', 'null came'],
    ['content of a number', { messages: [{ role: 'user', content: 5 }] }, 'messages[0].content', 'expected a string'],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      'messages[0].content[0]',
      '"image_url" came',
    ],
    [
      'a tool message without an id',
      { messages: [{ role: 'tool', content: 'x' }] },
      'messages[0].tool_call_id',
      'is missing',
    ],
    ['temperature 3', { temperature: 3 }, 'temperature', 'expected at most 2, 3 came'],
    ['a temperature as text', { temperature: '1' }, 'temperature', 'expected a number, "1" came'],
    ['top_p 2', { top_p: 2 }, 'top_p', 'at most 1'],
    ['n 9', { n: 9 }, 'n', 'at most 8'],
    ['max_tokens 0', { max_tokens: 0 }, 'max_tokens', 'at least 1'],
    ['two limits', { max_tokens: 1, max_completion_tokens: 2 }, 'max_tokens', 'contradicts'],
    ['top_logprobs alone', { top_logprobs: 2 }, 'top_logprobs', 'logprobs true'],
    ['a bias of a word', { logit_bias: { the: 1 } }, 'logit_bias.the', 'token id'],
    ['functions', { functions: [{ name: 'x' }] }, 'functions', 'use tools'],
    ['sound', { modalities: ['text', 'audio'] }, 'modalities[1]', '"audio" came'],
    ['a search', { web_search_options: { user_location: 'x' } }, 'web_search_options', 'does not search'],
    ['a custom tool', { tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools[0].type', 'expected "function"'],
    ['one tool twice', { tools: [tool, tool] }, 'tools[1].function.name', 'twice'],
    ['a choice without tools', { tool_choice: 'required' }, 'tool_choice', 'no tools'],
    [
      'a choice of a foreign tool',
      { tools: [tool], tool_choice: { type: 'function', function: { name: 'x' } } },
      'tool_choice',
      'there is no tool "x" (there are clock)',
    ],
    ['two constraints', { guided_regex: 'a', guided_choice: ['a'] }, 'response_format', 'one constraint'],
    [
      'a schema that is none',
      { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: 5 } } },
      'response_format.json_schema.schema',
      'expected a JSON Schema',
    ],
    ['a format that is none', { response_format: { type: 'xml' } }, 'response_format.type', 'json_schema'],
    ['a grammar', { guided_grammar: 'x' }, 'guided_grammar', 'guided_json'],
    [
      'a template variable that no template could have',
      { chat_template_kwargs: { 'a b': 1 } },
      'chat_template_kwargs.a b',
      'name of a variable',
    ],
    [
      'template variables without measure',
      { chat_template_kwargs: { documents: 'x'.repeat(16_384) } },
      'chat_template_kwargs',
      'at most 16384 characters',
    ],
    ['an empty stop', { stop: '' }, 'stop', 'at least 1 characters'],
  ])('is refused: %s', async (_what, fields, param, message) => {
    const gateway = scriptedGateway(() => saying('never'))
    const reply = await gateway.send('/v1/chat/completions', { ...hi, ...fields })
    const { error } = JSON.parse(reply.text)
    expect({ status: reply.status, param: error.param, message: error.message }).toEqual({
      status: 400,
      param,
      message: expect.stringContaining(message),
    })
    expect(gateway.requests).toEqual([])
    expect(gateway.rows.map(({ status }) => status)).toEqual([400])
  })
})
