/** Isolates that end while they write: whoever reads is told so, in the words of his dialect, and that he may ask again. */
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { eventsOf } from '../support/scripted-generation.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'

const message = expect.stringContaining('replica that wrote this reply was lost')
const endless = { temperature: 1, max_tokens: 400, ignore_eos: true }
/** Anthropic's body has no `ignore_eos`. */
const long = {
  type: 'object',
  properties: { tale: { type: 'string', minLength: 200, maxLength: 300 } },
  required: ['tale'],
  additionalProperties: false,
}
const messages = [{ role: 'user', content: 'A fox' }]

describe('an isolate that ends while it writes', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFolder(server, fileURLToPath(new URL('../../models/story/', import.meta.url)), 'story')
  })
  afterAll(() => server?.stop())

  const ask = (path: string, body: object) =>
    fetch(new URL(path, server.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${adminTestToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'short', ...body }),
    })

  /** Ends it under all that read. */
  const end = () => server.send('DELETE', '/api/2.0/serving-endpoints/short')

  it('tells the readers of streams, in each dialect, with an event of that dialect', async () => {
    await createEndpoint(server, 'short', 'story')
    const asked = {
      '/v1/chat/completions': { ...endless, messages },
      '/v1/completions': { ...endless, prompt: 'A fox' },
      '/v1/responses': { input: 'A fox', max_output_tokens: 400, ignore_eos: true },
      '/v1/messages': { messages, max_tokens: 400, output_config: { format: { type: 'json_schema', schema: long } } },
    }
    const streams = await Promise.all(
      Object.entries(asked).map(async ([path, body]) => {
        const reply = await ask(path, { ...body, stream: true })
        expect(reply.status).toBe(200)
        const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader()
        const { value } = await reader.read()
        return { first: value!, reader }
      }),
    )
    await end()
    const texts = await Promise.all(streams.map(async ({ first, reader }) => first + (await restOf(reader))))
    const [chat, completion, response, anthropic] = texts.map((text) => eventsOf(text).map(({ data }) => data))
    const failure = { error: { type: 'server_error', code: 'temporarily_unavailable', param: null, message } }
    expect(JSON.parse(chat!.at(-1)!)).toEqual(failure)
    expect(JSON.parse(completion!.at(-1)!)).toEqual(failure)
    expect(JSON.parse(response!.at(-2)!)).toMatchObject({ type: 'error', code: 'temporarily_unavailable', message })
    expect(JSON.parse(response!.at(-1)!)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error', message } },
    })
    expect(JSON.parse(anthropic!.at(-1)!)).toMatchObject({
      type: 'error',
      error: { type: 'overloaded_error', message },
    })
  })

  it('fails a reply in one piece with 503 and Retry-After', async () => {
    await createEndpoint(server, 'short', 'story')
    const whole = ask('/v1/chat/completions', { ...endless, messages })
    await vi.waitFor(async () => {
      const { text } = await server.send('GET', '/api/2.0/serving-endpoints/short/metrics')
      expect(text).toMatch(/^provisioned_concurrent_requests_total\{.*\} 1$/m)
    })
    await end()
    const reply = await whole
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await reply.json()).toMatchObject({ error_code: 'TEMPORARILY_UNAVAILABLE', message })
  })
})

async function restOf(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  let text = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return text
    text += value
  }
}
