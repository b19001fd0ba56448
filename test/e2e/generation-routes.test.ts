/** Text generation over the wire: the native route's LLM bodies, framing, one log row for each request, and whose responses are whose. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { expectError } from '../support/error-shape.ts'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { eventsOf } from '../support/scripted-generation.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

const start = 'Once upon a time'
const story = ', there was a little girl named Lily'
const chat = { messages: [{ role: 'user', content: start }], temperature: 0, max_tokens: 10 }

describe.skipIf(!haveSharedModels)(`routes of text generation (${withoutSharedModels})`, () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFolder(server, sharedModelPath('stories260k', ''), 'stories')
    await createEndpoint(server, 'stories', 'stories')
    await createEndpoint(server, 'counted', 'stories')
  })
  afterAll(() => server?.stop())

  const invoke = (body: unknown, path = '/serving-endpoints/stories/invocations') => server.send('POST', path, body)

  describe('the native route', () => {
    it.each<[string, object, object]>([
      ['messages', chat, { object: 'chat.completion', choices: [{ message: { content: story } }] }],
      [
        'prompt',
        { prompt: start, temperature: 0, max_tokens: 10 },
        { object: 'text_completion', choices: [{ text: story }] },
      ],
      [
        'input',
        { input: start, temperature: 0, max_output_tokens: 10 },
        { object: 'response', output: [{ content: [{ text: story }] }] },
      ],
    ])('answers %s unwrapped, in its own shape', async (_key, body, reply) => {
      for (const path of ['invocations', 'served-models/stories-1/invocations']) {
        const { status, json, headers } = await invoke(body, `/serving-endpoints/stories/${path}`)
        expect({ status, json }).toMatchObject({ status: 200, json: { model: 'stories', ...reply } })
        expect(headers.get('served-model-name')).toBe('stories-1')
      }
    })

    it.each<[string, object, string]>([
      ['messages', { ...chat, stream: true }, '[DONE]'],
      ['prompt', { prompt: start, max_tokens: 3, stream: true }, '[DONE]'],
      ['input', { input: start, max_output_tokens: 3, stream: true }, 'response.incomplete'],
    ])('streams %s', async (_key, body, last) => {
      const { text, headers } = await invoke(body)
      expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
      expect(eventsOf(text).at(-1)!.data).toContain(last)
    })

    it('answers rows as predictions still', async () => {
      const { json } = await invoke({ inputs: [start], params: { max_tokens: 10, temperature: 0 } })
      expect(json.predictions).toMatchObject([{ generated_text: expect.stringContaining(start) }])
    })

    it('refuses in its own shape', async () => {
      expectError(await invoke({ messages: [] }), 'native', 400)
      const taken = await invoke({ ...chat, chat_template_kwargs: { messages: [] } })
      expectError(taken, 'native', 400)
      expect(taken.json.message).toContain('chat_template_kwargs.messages: ')
      expectError(await invoke('{'), 'native', 415)
      expectError(
        await server.send('POST', '/serving-endpoints/stories/invocations', '{', {
          headers: { 'content-type': 'application/json' },
        }),
        'native',
        400,
      )
    })

    it('describes its bodies', async () => {
      const { json } = await server.send('GET', '/api/2.0/serving-endpoints/stories/openapi')
      const { post } = json.paths['/served-models/stories-1/invocations']
      const keys = post.requestBody.content['application/json'].schema.oneOf.map(
        ({ required }: { required: string[] }) => required[0],
      )
      expect(keys).toEqual(expect.arrayContaining(['messages', 'prompt', 'input', 'inputs']))
    })
  })

  it('is shown as a chat task', async () => {
    expect((await server.send('GET', '/api/2.0/serving-endpoints/stories')).json.task).toBe('llm/v1/chat')
  })

  it('writes one row for each request, also for those that the caller abandons', async () => {
    const counted = '/serving-endpoints/counted/invocations'
    await invoke(chat, counted)
    await invoke({ ...chat, stream: true }, counted)
    await invoke({ ...chat, temperature: 9 }, counted)
    // Only what is streamed: workerd notices that a caller has gone when it writes to it.
    const controller = new AbortController()
    const sent = await fetch(new URL(counted, server.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${adminTestToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...chat, stream: true, n: 8, max_tokens: 500, ignore_eos: true }),
      signal: controller.signal,
    })
    await sent.body!.getReader().read()
    controller.abort()
    await vi.waitFor(async () => expect(await numberOf('provisioned_concurrent_requests_total')).toBe(0), 10_000)
    await vi.waitFor(async () => expect(await numberOf('request_count_total')).toBe(4), 10_000)
    expect(await numberOf('request_4xx_count_total')).toBe(2)
    expect(await numberOf('request_5xx_count_total')).toBe(0)
  })

  async function numberOf(metric: string): Promise<number> {
    const { text } = await server.send('GET', '/api/2.0/serving-endpoints/counted/metrics')
    return Number(new RegExp(`^${metric}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? -1)
  }

  it('shows stored responses to the principal that asked for them and to nobody else', async () => {
    const tokenFor = async (user: string) =>
      (await server.send('POST', '/api/2.0/token/create', { user_name: user })).json.token_value as string
    const { id } = (await server.send('GET', '/api/2.0/serving-endpoints/stories')).json
    await server.send('PATCH', `/api/2.0/permissions/serving-endpoints/${id}`, {
      access_control_list: ['ann', 'bob'].map((user_name) => ({ user_name, permission_level: 'CAN_QUERY' })),
    })
    const [ann, bob] = [await tokenFor('ann'), await tokenFor('bob')]
    const asked = { model: 'stories', input: start, max_output_tokens: 3 }
    const stored = await server.send('POST', '/v1/responses', asked, { token: ann })
    const path = `/v1/responses/${stored.json.id}`
    expect((await server.send('GET', path, undefined, { token: ann })).json).toEqual(stored.json)
    for (const [method, route, body] of [
      ['GET', path, undefined],
      ['DELETE', path, undefined],
      ['POST', '/v1/responses', { ...asked, previous_response_id: stored.json.id }],
    ] as const)
      expectError(await server.send(method, route, body, { token: bob }), 'openai', 404, bob)
    const next = await server.send(
      'POST',
      '/v1/responses',
      { ...asked, previous_response_id: stored.json.id },
      { token: ann },
    )
    expect(next.json.usage.input_tokens).toBeGreaterThan(stored.json.usage.input_tokens)
    expect((await server.send('DELETE', path, undefined, { token: ann })).json).toEqual({
      id: stored.json.id,
      object: 'response',
      deleted: true,
    })
    expectError(await server.send('GET', path, undefined, { token: ann }), 'openai', 404, ann)
  })

  it('keeps no response that is longer than a row of the store', async () => {
    const input = [
      ...Array.from({ length: 3 }, () => ({ type: 'reasoning', summary: [] })),
      { role: 'user', content: start },
    ]
    const { json } = await server.send('POST', '/v1/responses', {
      model: 'stories',
      input,
      instructions: 'x',
      max_output_tokens: 3,
      metadata: { big: 'y'.repeat(2_000_000) },
    })
    expect(json.store).toBe(false)
    expectError(await server.send('GET', `/v1/responses/${json.id}`), 'openai', 404)
  })
})
