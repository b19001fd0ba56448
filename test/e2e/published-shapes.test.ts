/**
 * Every reply of the OpenAI and Anthropic routes has the shape that their makers publish, as a server sends it. What a small model
 * cannot be brought to say, reasoning and failures in the middle, comes from the same dialects over a scripted model.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { internal } from '#contracts/errors.ts'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { compareWithPublished, type Deviation, type Sample } from '../support/published-shapes.ts'
import {
  done,
  end,
  eventsOf,
  read,
  reasoning,
  type ScriptedGateway,
  scriptedGateway,
  text,
  toolCall,
} from '../support/scripted-generation.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const model = 'story'
const messages = [{ role: 'user', content: 'Tell me of a fox – 狐' }]
const pet = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 4 }, age: { type: 'integer', minimum: 0, maximum: 20 } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const adopt = { name: 'adopt', description: 'Adopts a pet.', parameters: pet }

const chats: Readonly<Record<string, object>> = {
  'a length': { max_tokens: 4 },
  'a stop text': { stop: ['e'], max_tokens: 60, temperature: 0 },
  'two choices with log probabilities': { n: 2, max_tokens: 3, logprobs: true, top_logprobs: 2 },
  'a JSON Schema': {
    response_format: { type: 'json_schema', json_schema: { name: 'pet', schema: pet, strict: true } },
  },
  'a tool': { tools: [{ type: 'function', function: adopt }], tool_choice: 'required', max_tokens: 80 },
}

const completions: Readonly<Record<string, object>> = {
  'a length': { prompt: 'Once', max_tokens: 4 },
  'two prompts with log probabilities': { prompt: ['Once', 'There'], n: 2, max_tokens: 3, logprobs: 2, echo: true },
  'a stop text': { prompt: 'Once', stop: 'e', max_tokens: 60 },
}

const responses: Readonly<Record<string, object>> = {
  'a length': { max_output_tokens: 4, instructions: 'Be short.', metadata: { of: 'a test' }, user: 'ann' },
  'log probabilities': { max_output_tokens: 3, include: ['message.output_text.logprobs'], top_logprobs: 2 },
  'tools that were called': {
    input: [
      { role: 'user', content: 'Adopt one.' },
      { type: 'function_call', call_id: 'call_1', name: 'adopt', arguments: '{"name":"Bo","age":3}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'done' },
    ],
    max_output_tokens: 3,
  },
  'a JSON Schema': { text: { format: { type: 'json_schema', name: 'pet', schema: pet, strict: true } } },
  'a JSON object': { text: { format: { type: 'json_object' } }, max_output_tokens: 12, temperature: 0.5, top_p: 0.9 },
  'a tool': {
    tools: [{ type: 'function', ...adopt, strict: true }],
    tool_choice: { type: 'function', name: 'adopt' },
    max_output_tokens: 80,
  },
}

const anthropics: Readonly<Record<string, object>> = {
  'a length': { max_tokens: 4, system: 'Be short.' },
  'a stop text': { max_tokens: 60, stop_sequences: ['e'] },
  'a JSON Schema': { max_tokens: 60, output_config: { format: { type: 'json_schema', schema: pet } } },
  'a tool': {
    max_tokens: 80,
    tools: [{ name: 'adopt', description: 'Adopts a pet.', input_schema: pet }],
    tool_choice: { type: 'any' },
  },
}

/**
 * The document has one schema for whole completions and for their chunks, and its example of a chunk has a reason of null; of
 * `include_usage` it says that all chunks but the last have a usage of null.
 */
const completionChunk = [
  "Omit<OpenAI.Completion, 'choices' | 'usage'>",
  "{ choices: (Omit<OpenAI.CompletionChoice, 'finish_reason'> & { finish_reason: 'stop' | 'length' | null })[] }",
  '{ usage: OpenAI.CompletionUsage | null }',
].join(' & ')

const reasoningContent = 'the field by which local servers show reasoning, which OpenAI keeps to itself'
const isKept = "OpenAI's own replies have it, and it tells when a conversation is too long to be kept"
const bothBodies = 'clients of the native API read a refusal by these fields, on every route'

const deviations: readonly Deviation[] = [
  { type: 'OpenAI.Chat.ChatCompletion', path: 'choices.*.message.reasoning_content', why: reasoningContent },
  { type: 'OpenAI.Chat.ChatCompletionChunk', path: 'choices.*.delta.reasoning_content', why: reasoningContent },
  { type: 'OpenAI.Responses.Response', path: 'store', why: isKept },
  { type: 'OpenAI.Responses.ResponseStreamEvent', path: 'response.store', why: isKept },
  { type: '{ error: OpenAI.ErrorObject }', path: 'error_code', why: bothBodies },
  { type: '{ error: OpenAI.ErrorObject }', path: 'message', why: bothBodies },
  {
    type: 'OpenAI.Responses.ResponseStreamEvent',
    path: 'name',
    why: 'earlier publications of the document require it',
  },
]

describe('replies', () => {
  let server: TestServer
  const samples: Sample[] = []
  beforeAll(async () => {
    server = await startTestServer()
    for (const name of ['story', 'embed']) {
      await importFolder(server, fileURLToPath(new URL(`../../models/${name}/`, import.meta.url)), name)
      await createEndpoint(server, name, name)
    }
  })
  afterAll(() => server?.stop())

  const add = (what: string, type: string, value: unknown) => samples.push({ what, type, value: withOutputText(value) })

  async function ask(method: string, path: string, body?: object, status = 200) {
    const reply = await server.send(method, path, body)
    expect({ status: reply.status, text: reply.text }).toMatchObject({ status })
    return reply
  }

  async function addWhole(what: string, type: string, path: string, body: object): Promise<void> {
    add(what, type, (await ask('POST', path, body)).json)
  }

  async function addStream(what: string, type: string, path: string, body: object): Promise<void> {
    addEvents(what, type, (await ask('POST', path, { ...body, stream: true })).text)
  }

  function addEvents(what: string, type: string, stream: string): void {
    for (const { data } of eventsOf(stream)) if (data !== '[DONE]') add(`${what}, streamed`, type, JSON.parse(data))
  }

  it.each(Object.entries(chats))('of chat are taken: %s', async (what, options) => {
    const body = { model, messages, ...options }
    await addWhole(`chat with ${what}`, 'OpenAI.Chat.ChatCompletion', '/v1/chat/completions', body)
    const streamed = { ...body, stream_options: { include_usage: true } }
    await addStream(`chat with ${what}`, 'OpenAI.Chat.ChatCompletionChunk', '/v1/chat/completions', streamed)
  })

  it.each(Object.entries(completions))('of completions are taken: %s', async (what, options) => {
    const body = { model, ...options }
    await addWhole(`completion with ${what}`, 'OpenAI.Completion', '/v1/completions', body)
    await addStream(`completion with ${what}`, completionChunk, '/v1/completions', {
      ...body,
      stream_options: { include_usage: true },
    })
  })

  it.each(Object.entries(responses))('of Responses are taken: %s', async (what, options) => {
    const body = { model, input: 'Tell me of a fox.', ...options }
    const { json } = await ask('POST', '/v1/responses', body)
    add(`response with ${what}`, 'OpenAI.Responses.Response', json)
    add(`stored ${what}`, 'OpenAI.Responses.Response', (await ask('GET', `/v1/responses/${json.id}`)).json)
    const { json: items } = await ask('GET', `/v1/responses/${json.id}/input_items`)
    add(`input of ${what}`, 'ResponseItemList', items)
    await addStream(`response with ${what}`, 'OpenAI.Responses.ResponseStreamEvent', '/v1/responses', {
      ...body,
      previous_response_id: json.id,
    })
  })

  it.each(Object.entries(anthropics))('of messages are taken: %s', async (what, options) => {
    const body = { model, messages, ...options }
    await addWhole(`message with ${what}`, 'Anthropic.Message', '/v1/messages', body)
    await addStream(`message with ${what}`, 'Anthropic.RawMessageStreamEvent', '/v1/messages', body)
  })

  it('without a text of the model are taken', async () => {
    await addWhole('count', 'Anthropic.MessageTokensCount', '/v1/messages/count_tokens', { model, messages })
    const embedding = { model: 'embed', input: ['a fox', 'a hen'] }
    await addWhole('embeddings', 'OpenAI.CreateEmbeddingResponse', '/v1/embeddings', embedding)
    const { json: list } = await ask('GET', '/v1/models')
    add('models', `{ object: 'list'; data: OpenAI.Model[] }`, list)
    add('model', 'OpenAI.Model', (await ask('GET', '/v1/models/story')).json)
    for (const [status, path, body] of [
      [400, '/v1/chat/completions', { model, messages: [] }],
      [404, '/v1/responses', { model: 'nobody', input: 'x' }],
    ] as const)
      add(`refusal ${status}`, '{ error: OpenAI.ErrorObject }', (await ask('POST', path, body, status)).json)
    const { json: refusal } = await ask('POST', '/v1/messages', { model, messages }, 400)
    add('refusal of a message', 'Anthropic.ErrorResponse', refusal)
  })

  it('of a model that reasons, and of one that breaks off, are taken', async () => {
    const reasons = scriptedGateway(() => [
      read,
      reasoning('Well'),
      text('Hi'),
      ...toolCall(0, 'call_1', 'adopt', '{"name":', '"Bo"}'),
      end('tool-calls'),
      done,
    ])
    const breaks = scriptedGateway(() => [read, text('Hi'), { type: 'failed', error: internal('No more.').toJSON() }])
    for (const [what, gateway] of Object.entries({ reasons, breaks })) await addScripted(what, gateway)
  })

  async function addScripted(what: string, gateway: ScriptedGateway): Promise<void> {
    const asked = { model, messages, input: 'x', max_tokens: 9 }
    for (const [path, whole, event] of [
      ['/v1/chat/completions', 'OpenAI.Chat.ChatCompletion', 'OpenAI.Chat.ChatCompletionChunk'],
      ['/v1/responses', 'OpenAI.Responses.Response', 'OpenAI.Responses.ResponseStreamEvent'],
      ['/v1/messages', 'Anthropic.Message', 'Anthropic.RawMessageStreamEvent'],
    ] as const) {
      const reply = await gateway.send(path, asked)
      if (reply.status === 200) add(`${path} that ${what}`, whole, JSON.parse(reply.text))
      // How a stream fails is documented in prose; it has no type of its own but in Responses.
      const { text: stream } = await gateway.send(path, { ...asked, stream: true })
      for (const { data } of eventsOf(stream)) {
        if (data === '[DONE]') continue
        const value = JSON.parse(data)
        const type =
          'error' in value && value.object === undefined
            ? path === '/v1/messages'
              ? 'Anthropic.ErrorResponse'
              : '{ error: OpenAI.ErrorObject }'
            : event
        add(`${path} that ${what}, streamed`, type, value)
      }
    }
  }

  it('have the published shapes', () => {
    expect(samples.length).toBeGreaterThan(150)
    const { misfits, unused } = compareWithPublished(samples, deviations)
    expect(misfits).toEqual([])
    expect(unused).toEqual([])
  })
})

describe('the comparison', () => {
  it('tells a field too many, one too few, a wrong value, and a deviation that nothing needs', () => {
    const usage = { completion_tokens: 1, prompt_tokens: 1, total_tokens: 2 }
    const values = [
      { ...usage, cost: 1 },
      { completion_tokens: 1, prompt_tokens: 1 },
      { ...usage, total_tokens: '狐' },
    ]
    const deviation = { type: 'OpenAI.CompletionUsage', path: 'price', why: 'nothing has it' }
    const samples = values.map((value) => ({ what: 'usage', type: 'OpenAI.CompletionUsage', value }))
    const { misfits, unused } = compareWithPublished(samples, [deviation])
    expect(misfits.map((text) => /cost|missing|'string'/.exec(text)?.[0])).toEqual(['cost', 'missing', "'string'"])
    expect(unused).toEqual([deviation])
  })
})

/** The client itself adds this to a response; it is no part of what is sent. */
function withOutputText(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { object, response } = value as Record<string, unknown>
  if (object === 'response') return { ...value, output_text: '' }
  return response === undefined ? value : { ...value, response: withOutputText(response) }
}
