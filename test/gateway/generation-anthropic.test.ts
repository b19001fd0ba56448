/** Anthropic's messages over scripted events, by hand and with the unmodified client. */
import Anthropic from '@anthropic-ai/sdk'
import { describe, expect, it } from 'vitest'
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

const hi = { model: 'tale', max_tokens: 20, messages: [{ role: 'user' as const, content: 'hi' }] }
const clock = { name: 'clock', description: 'Tells the time.', input_schema: { type: 'object' as const } }

function clientOf(gateway: ReturnType<typeof scriptedGateway>): Anthropic {
  return new Anthropic({ baseURL: 'http://glim', apiKey: 'x', maxRetries: 0, fetch: gateway.fetch })
}

const calling = [
  read,
  reasoning('hm'),
  text('Let me see.'),
  ...toolCall(0, 'toolu_1', 'clock', '{"zone"', ':"UTC"}'),
  ...toolCall(1, 'toolu_2', 'clock', '{}'),
  end('tool-calls'),
  done,
]
const blocks = [
  { type: 'thinking', thinking: 'hm', signature: '' },
  { type: 'text', text: 'Let me see.' },
  { type: 'tool_use', id: 'toolu_1', name: 'clock', input: { zone: 'UTC' } },
  { type: 'tool_use', id: 'toolu_2', name: 'clock', input: {} },
]

describe('a message', () => {
  it('has every field of the shape', async () => {
    const reply = await clientOf(scriptedGateway(() => saying('Hel', 'lo'))).messages.create(hi)
    expect(reply).toMatchObject({
      id: 'msg_00000000000040008000000000000001',
      type: 'message',
      role: 'assistant',
      model: 'tale',
      content: [{ type: 'text', text: 'Hello', citations: null }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 3, cache_read_input_tokens: 4, cache_creation_input_tokens: 0, output_tokens: 3 },
    })
  })

  it('has a block for thinking, text and each use of a tool', async () => {
    const reply = await clientOf(scriptedGateway(() => calling)).messages.create({ ...hi, tools: [clock] })
    expect(reply.content).toMatchObject(blocks)
    expect(reply.stop_reason).toBe('tool_use')
  })

  it.each([
    ['a stop text', end('stop', 'END'), 'stop_sequence', 'END'],
    ['the tokens', end('length'), 'max_tokens', null],
    ['the model', end('stop'), 'end_turn', null],
  ])('says that %s ended it', async (_what, ending, reason, sequence) => {
    const gateway = scriptedGateway(() => [read, text('a'), ending, done])
    const reply = await clientOf(gateway).messages.create({ ...hi, stop_sequences: ['END'] })
    expect([reply.stop_reason, reply.stop_sequence]).toEqual([reason, sequence])
    expect(gateway.requests[0]!.stop).toEqual(['END'])
  })
})

describe('a streamed message', () => {
  it('says each block from its beginning to its end', async () => {
    const gateway = scriptedGateway(() => calling)
    const reply = await gateway.send('/v1/messages', { ...hi, tools: [clock], stream: true })
    const events = eventsOf(reply.text).map(({ event, data }) => ({ event, data: JSON.parse(data) }))
    expect(events.every(({ event, data }) => event === data.type)).toBe(true)
    const block = (index: number, start: object, ...deltas: object[]) => [
      { type: 'content_block_start', index, content_block: start },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
      { type: 'content_block_stop', index },
    ]
    expect(events.map(({ data }) => data)).toMatchObject([
      {
        type: 'message_start',
        message: { content: [], stop_reason: null, usage: { input_tokens: 3, output_tokens: 0 } },
      },
      ...block(0, { type: 'thinking', thinking: '' }, { type: 'thinking_delta', thinking: 'hm' }),
      ...block(1, { type: 'text', text: '' }, { type: 'text_delta', text: 'Let me see.' }),
      ...block(
        2,
        { type: 'tool_use', id: 'toolu_1', name: 'clock', input: {} },
        { type: 'input_json_delta', partial_json: '{"zone"' },
        { type: 'input_json_delta', partial_json: ':"UTC"}' },
      ),
      ...block(3, { type: 'tool_use', id: 'toolu_2' }, { type: 'input_json_delta', partial_json: '{}' }),
      { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ])
  })

  it('is put together again by the client', async () => {
    const gateway = scriptedGateway(() => calling)
    const final = await clientOf(gateway)
      .messages.stream({ ...hi, tools: [clock] })
      .finalMessage()
    expect(final.content).toMatchObject(blocks)
    expect(final.usage).toMatchObject({ input_tokens: 3, output_tokens: 3, cache_read_input_tokens: 4 })
  })

  it('that fails says an error event', async () => {
    const gateway = scriptedGateway(() => [
      read,
      text('a'),
      { type: 'failed', error: { code: 'INTERNAL_ERROR', status: 500, message: 'Broken.' } },
    ])
    const reply = await gateway.send('/v1/messages', { ...hi, stream: true })
    const last = eventsOf(reply.text).at(-1)!
    expect([last.event, JSON.parse(last.data)]).toMatchObject([
      'error',
      { type: 'error', error: { type: 'api_error', message: 'Broken.' } },
    ])
    await expect(clientOf(gateway).messages.stream(hi).finalMessage()).rejects.toThrow('Broken.')
  })
})

describe('the count of tokens', () => {
  it('reads the prompt and writes nothing', async () => {
    const gateway = scriptedGateway(() => [read, { ...done, type: 'usage-final' } as never])
    const { model, messages } = hi
    expect(await clientOf(gateway).messages.countTokens({ model, messages, tools: [clock] })).toEqual({
      input_tokens: 7,
    })
    expect(gateway.requests[0]).toMatchObject({ maxTokens: 0, prompt: { tools: [{ name: 'clock' }] } })
  })
})

describe('what the model is asked', () => {
  it('is the conversation with its tools', async () => {
    const gateway = scriptedGateway(() => saying('ok'))
    await clientOf(gateway).messages.create({
      model: 'tale',
      max_tokens: 9,
      system: [
        { type: 'text', text: 'Be ' },
        { type: 'text', text: 'brief.', cache_control: { type: 'ephemeral' } },
      ],
      messages: [
        { role: 'user', content: 'Time?' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: '' },
            { type: 'text', text: 'Looking.' },
            { type: 'tool_use', id: 't1', name: 'clock', input: { zone: 'UTC' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'noon' }] },
            { type: 'text', text: 'Thanks.' },
          ],
        },
      ],
      tools: [clock],
      tool_choice: { type: 'any', disable_parallel_tool_use: true },
      // The client's types have dropped these for models that fix them; the wire has them still.
      ...({ temperature: 0.5, top_k: 4, top_p: 0.8 } as object),
      metadata: { user_id: 'u' },
      output_config: { format: { type: 'json_schema', schema: { type: 'object' } } },
    })
    expect(gateway.requests[0]).toMatchObject({
      prompt: {
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'Time?' },
          {
            role: 'assistant',
            content: 'Looking.',
            toolCalls: [{ id: 't1', name: 'clock', arguments: '{"zone":"UTC"}' }],
          },
          { role: 'tool', content: 'noon', toolCallId: 't1' },
          { role: 'user', content: 'Thanks.' },
        ],
        tools: [{ name: 'clock', description: 'Tells the time.', parameters: { type: 'object' } }],
        toolChoice: 'required',
        parallelToolCalls: false,
      },
      maxTokens: 9,
      sampling: { temperature: 0.5, topK: 4, topP: 0.8 },
      constraint: { kind: 'json-schema', schema: { type: 'object' } },
    })
  })
})

describe('a body that cannot be', () => {
  it.each<[string, object, string]>([
    ['no max_tokens', { max_tokens: undefined }, 'max_tokens: is missing'],
    ['no messages', { messages: [] }, 'messages: expected at least 1'],
    [
      'a picture',
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'messages[0].content[0]: the model reads text only; expected a block of type "text" or "tool_result", "image" came',
    ],
    [
      'a reply begun for the model',
      { messages: [...hi.messages, { role: 'assistant', content: 'I' }] },
      'messages[1].role: expected the last message from the user',
    ],
    ['a tool of the server', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0].type'],
    ['a temperature of 1.5', { temperature: 1.5 }, 'temperature: expected at most 1, 1.5 came'],
    ['a choice of a foreign tool', { tools: [clock], tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice'],
    ['a choice that is none', { tools: [clock], tool_choice: { type: 'all' } }, 'tool_choice.type'],
  ])('is refused in its shape: %s', async (_what, fields, message) => {
    const gateway = scriptedGateway(() => saying('never'))
    const reply = await gateway.send('/v1/messages', { ...hi, ...fields })
    expect([reply.status, JSON.parse(reply.text)]).toEqual([
      400,
      {
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringContaining(message) },
        request_id: expect.any(String),
      },
    ])
  })
})
