/** OpenAI's Responses over scripted events, by hand and with the unmodified client. */
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import type { ChatMessage } from '#contracts/generation.ts'
import { inputItemsPage } from '#src/gateway/dialects/openai-responses/listed-items.ts'
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

function clientOf(gateway: ReturnType<typeof scriptedGateway>): OpenAI {
  return new OpenAI({ baseURL: 'http://glim/v1', apiKey: 'x', maxRetries: 0, fetch: gateway.fetch })
}

const clock = { type: 'function' as const, name: 'clock', parameters: { type: 'object' }, strict: false }
const thinking = [read, reasoning('h'), reasoning('m'), text('It is '), text('noon.'), end(), done]
const calling = [
  read,
  ...toolCall(0, 'c1', 'clock', '{"zone"', ':"UTC"}'),
  ...toolCall(1, 'c2', 'clock', '{}'),
  end('tool-calls'),
  done,
]

describe('a response', () => {
  it('has every field of the shape', async () => {
    const gateway = scriptedGateway(() => saying('Hel', 'lo'))
    const reply = await clientOf(gateway).responses.create({ model: 'tale', input: 'hi', instructions: 'Be nice.' })
    expect(reply).toMatchObject({
      id: 'resp_00000000000040008000000000000001',
      object: 'response',
      created_at: 1_700_000_000,
      status: 'completed',
      error: null,
      incomplete_details: null,
      instructions: 'Be nice.',
      max_output_tokens: null,
      metadata: {},
      model: 'tale',
      output_text: 'Hello',
      output: [
        {
          id: expect.stringMatching(/^msg_/),
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }],
        },
      ],
      parallel_tool_calls: true,
      previous_response_id: null,
      store: true,
      temperature: null,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_p: null,
      truncation: 'disabled',
      usage: {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 3,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 10,
      },
    })
    expect(gateway.requests[0]!.prompt).toMatchObject({
      messages: [
        { role: 'system', content: 'Be nice.' },
        { role: 'user', content: 'hi' },
      ],
    })
  })

  it('lists reasoning, text and calls as items, the same streamed and not', async () => {
    for (const events of [thinking, calling]) {
      const whole = await clientOf(scriptedGateway(() => events)).responses.create({
        model: 'tale',
        input: 'x',
        tools: [clock],
      })
      const stream = clientOf(scriptedGateway(() => events)).responses.stream({
        model: 'tale',
        input: 'x',
        tools: [clock],
      })
      const final = await stream.finalResponse()
      expect(final.output).toMatchObject(whole.output)
      expect({ ...final, output: [] }).toMatchObject({ ...whole, output: [] })
    }
    const { output } = await clientOf(scriptedGateway(() => calling)).responses.create({
      model: 'tale',
      input: 'x',
      tools: [clock],
    })
    expect(output).toMatchObject([
      { type: 'function_call', call_id: 'c1', name: 'clock', arguments: '{"zone":"UTC"}', status: 'completed' },
      { type: 'function_call', call_id: 'c2', name: 'clock', arguments: '{}', status: 'completed' },
    ])
  })

  it('is incomplete where the tokens ran out', async () => {
    const gateway = scriptedGateway(() => [read, text('It'), end('length'), done])
    const reply = await clientOf(gateway).responses.create({ model: 'tale', input: 'x', max_output_tokens: 1 })
    expect(reply).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ status: 'incomplete' }],
    })
  })
})

describe('a streamed response', () => {
  it('says each item from its beginning to its end, numbered, without [DONE]', async () => {
    const gateway = scriptedGateway(() => thinking)
    const reply = await gateway.send('/v1/responses', { model: 'tale', input: 'x', stream: true })
    const events = eventsOf(reply.text).map(({ event, data }) => ({ event, data: JSON.parse(data) }))
    expect(events.every(({ event, data }) => event === data.type)).toBe(true)
    expect(events.map(({ data }) => data.sequence_number)).toEqual(events.map((_, index) => index))
    expect(events.map(({ event }) => event)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.reasoning_summary_part.added',
      'response.reasoning_summary_text.delta',
      'response.reasoning_summary_text.delta',
      'response.reasoning_summary_text.done',
      'response.reasoning_summary_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const [created] = events
    expect(created!.data.response).toMatchObject({ status: 'in_progress', output: [] })
    expect(created!.data.response).not.toHaveProperty('usage')
    const deltas = events.filter(({ event }) => event === 'response.output_text.delta').map(({ data }) => data)
    expect(deltas).toMatchObject([
      { output_index: 1, content_index: 0, delta: 'It is ', logprobs: [] },
      { output_index: 1, content_index: 0, delta: 'noon.', logprobs: [] },
    ])
    expect(new Set(deltas.map(({ item_id }) => item_id)).size).toBe(1)
  })

  it('says calls with their arguments piece by piece', async () => {
    const gateway = scriptedGateway(() => calling)
    const reply = await gateway.send('/v1/responses', { model: 'tale', input: 'x', tools: [clock], stream: true })
    const said = eventsOf(reply.text).map(({ data }) => JSON.parse(data))
    expect(
      said
        .filter(({ type }) => type.startsWith('response.function_call'))
        .map(({ type, delta, arguments: all, output_index }) => [type.split('.').at(-1), delta ?? all, output_index]),
    ).toEqual([
      ['delta', '{"zone"', 0],
      ['delta', ':"UTC"}', 0],
      ['done', '{"zone":"UTC"}', 0],
      ['delta', '{}', 1],
      ['done', '{}', 1],
    ])
  })

  it('that fails says an error and a failed response', async () => {
    const gateway = scriptedGateway(() => [
      read,
      text('It'),
      { type: 'failed', error: { code: 'INTERNAL_ERROR', status: 500, message: 'Broken.' } },
    ])
    const reply = await gateway.send('/v1/responses', { model: 'tale', input: 'x', stream: true })
    const [error, failed] = eventsOf(reply.text)
      .slice(-2)
      .map(({ data }) => JSON.parse(data))
    expect(error).toMatchObject({ type: 'error', code: 'internal_error', message: 'Broken.', param: null })
    expect(failed).toMatchObject({
      type: 'response.failed',
      response: {
        status: 'failed',
        error: { code: 'server_error', message: 'Broken.' },
        store: false,
        output: [{ type: 'message', status: 'incomplete', content: [{ text: 'It' }] }],
      },
    })
    expect(gateway.responses.size).toBe(0)
  })
})

describe('a conversation', () => {
  it('goes on from a stored response, without its instructions', async () => {
    const gateway = scriptedGateway(({ prompt }) =>
      prompt.kind === 'messages' && prompt.messages.some(({ role }) => role === 'tool') ? saying('Noon.') : calling,
    )
    const first = await clientOf(gateway).responses.create({
      model: 'tale',
      input: 'What time is it?',
      instructions: 'Be brief.',
      tools: [clock],
    })
    const second = await clientOf(gateway).responses.create({
      model: 'tale',
      previous_response_id: first.id,
      input: [
        { type: 'function_call_output', call_id: 'c1', output: '12:00' },
        { type: 'function_call_output', call_id: 'c2', output: '12:01' },
      ],
      stream: true,
    })
    for await (const event of second)
      if (event.type === 'response.completed')
        expect(event.response.output).toMatchObject([{ content: [{ text: 'Noon.' }] }])
    expect(gateway.requests[1]!.prompt).toMatchObject({
      messages: [
        { role: 'user', content: 'What time is it?' },
        {
          role: 'assistant',
          content: '',
          toolCalls: [
            { id: 'c1', name: 'clock', arguments: '{"zone":"UTC"}' },
            { id: 'c2', name: 'clock', arguments: '{}' },
          ],
        },
        { role: 'tool', content: '12:00', toolCallId: 'c1' },
        { role: 'tool', content: '12:01', toolCallId: 'c2' },
      ],
    })
    expect([...gateway.responses.values()].at(-1)!.messages.at(-1)).toEqual({ role: 'assistant', content: 'Noon.' })
  })

  it('is not kept where the caller does not want it', async () => {
    const gateway = scriptedGateway(() => saying('x'))
    const { id, ...reply } = await clientOf(gateway).responses.create({ model: 'tale', input: 'x', store: false })
    expect(reply).toMatchObject({ store: false })
    const next = await gateway.send('/v1/responses', { model: 'tale', input: 'y', previous_response_id: id })
    expect(next.status).toBe(404)
    expect(JSON.parse(next.text).error.message).toContain(id)
  })

  it('may be sent as items instead', async () => {
    const gateway = scriptedGateway(() => saying('x'))
    await clientOf(gateway).responses.create({
      model: 'tale',
      input: [
        { role: 'developer', content: 'Be brief.' },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Time?' }] },
        { type: 'reasoning', id: 'rs_1', summary: [] },
        {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Looking.', annotations: [] }],
        },
        { type: 'function_call', call_id: 'c1', name: 'clock', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c1', output: 'noon' },
      ],
      text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } },
      tools: [clock],
      tool_choice: { type: 'function', name: 'clock' },
    })
    expect(gateway.requests[0]).toMatchObject({
      prompt: {
        messages: [
          { role: 'developer', content: 'Be brief.' },
          { role: 'user', content: 'Time?' },
          { role: 'assistant', content: 'Looking.', toolCalls: [{ id: 'c1', name: 'clock', arguments: '{}' }] },
          { role: 'tool', content: 'noon', toolCallId: 'c1' },
        ],
        tools: [{ name: 'clock', parameters: { type: 'object' } }],
        toolChoice: { name: 'clock' },
      },
      constraint: { kind: 'json-schema', schema: { type: 'object' } },
    })
  })
})

describe('a response that does not exist', () => {
  it('is named by the field that asked for it', async () => {
    const gateway = scriptedGateway(() => saying('never'))
    const reply = await gateway.send('/v1/responses', { model: 'tale', input: 'x', previous_response_id: 'resp_1' })
    expect([reply.status, JSON.parse(reply.text).error]).toMatchObject([
      404,
      { code: 'resource_does_not_exist', param: 'previous_response_id' },
    ])
  })
})

describe('the input of a stored response', () => {
  const messages: ChatMessage[] = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: 'Time?' },
    { role: 'assistant', content: 'Looking.', toolCalls: [{ id: 'c1', name: 'clock', arguments: '{}' }] },
    { role: 'tool', content: 'noon', toolCallId: 'c1' },
    { role: 'assistant', content: 'Noon.' },
  ]
  const page = (query = '') => inputItemsPage('resp_1', { reply: {}, messages }, new URLSearchParams(query))

  it('is listed without the reply, each call and its output an item', () => {
    expect(page('order=asc').data).toMatchObject([
      { id: 'msg_1in1', type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
      { id: 'msg_1in2', role: 'user' },
      { id: 'msg_1in3', role: 'assistant', content: [{ type: 'output_text', text: 'Looking.' }] },
      { id: 'fc_1in4', type: 'function_call', call_id: 'c1', name: 'clock', arguments: '{}' },
      { id: 'fco_1in5', type: 'function_call_output', call_id: 'c1', output: 'noon' },
    ])
  })

  it('comes in pages, the newest first', () => {
    expect(page('limit=2')).toMatchObject({ object: 'list', first_id: 'fco_1in5', last_id: 'fc_1in4', has_more: true })
    const rest = page('limit=100&after=fc_1in4')
    expect(rest.data.map(({ id }) => id)).toEqual(['msg_1in3', 'msg_1in2', 'msg_1in1'])
    expect(rest.has_more).toBe(false)
    expect(page('order=asc&after=fco_1in5').data).toEqual([])
  })

  it.each(['limit=0', 'limit=101', 'limit=x', 'order=up', 'after=msg_2in1'])('refuses %s', (query) => {
    expect(() => page(query)).toThrow(query.split('=')[0])
  })
})

describe('a body that cannot be', () => {
  it.each<[string, object, string, string]>([
    ['no input', { input: undefined }, 'input', 'is missing'],
    [
      'a picture',
      { input: [{ role: 'user', content: [{ type: 'input_image' }] }] },
      'input[0].content[0]',
      '"input_image" came',
    ],
    ['a foreign item', { input: [{ type: 'computer_call' }] }, 'input[0].type', '"computer_call" came'],
    ['a reference', { input: [{ type: 'item_reference', id: 'x' }] }, 'input[0]', 'previous_response_id'],
    [
      'a call without arguments',
      { input: [{ type: 'function_call', call_id: 'c', name: 'n' }] },
      'input[0].arguments',
      'is missing',
    ],
    ['a search', { tools: [{ type: 'web_search' }] }, 'tools[0].type', 'expected "function", "web_search" came'],
    ['work in the background', { background: true }, 'background', 'not supported'],
    ['a conversation', { conversation: 'conv_1' }, 'conversation', 'previous_response_id'],
    ['a format that is none', { text: { format: { type: 'xml' } } }, 'text.format.type', 'json_schema'],
  ])('is refused: %s', async (_what, fields, param, message) => {
    const gateway = scriptedGateway(() => saying('never'))
    const reply = await gateway.send('/v1/responses', { model: 'tale', input: 'x', ...fields })
    const { error } = JSON.parse(reply.text)
    expect([reply.status, error.param]).toEqual([400, param])
    expect(error.message).toContain(message)
  })
})
