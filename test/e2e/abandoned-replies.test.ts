/** Replies in one piece that take seconds: whoever goes away gives his place back, and whoever waits gets what his client can read. */
import { fileURLToPath } from 'node:url'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import { generateText } from 'ai'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { adminTestToken, type Reply, startTestServer, type TestServer } from '../support/server.ts'

const model = 'story'
const messages = [{ role: 'user' as const, content: 'Tell me of a fox.' }]
const greedy = { temperature: 0 }
/** Some seconds of work. */
const long = { model, messages, temperature: 1, max_tokens: 450, ignore_eos: true, n: 8 }

describe('a reply in one piece', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFolder(server, fileURLToPath(new URL('../../models/story/', import.meta.url)), model)
    await createEndpoint(server, model, model)
  })
  afterAll(() => server?.stop())

  async function metric(name: string): Promise<number> {
    const { text } = await server.send('GET', `/api/2.0/serving-endpoints/${model}/metrics`)
    return Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1] ?? -1)
  }
  const inFlight = () => metric('provisioned_concurrent_requests_total')

  it('comes after white space where it takes long, and is read by unmodified clients', async () => {
    const baseURL = new URL('/v1', server.url).href
    const openai = new OpenAI({ baseURL, apiKey: adminTestToken, maxRetries: 0 })
    const anthropic = new Anthropic({ baseURL: server.url.origin, apiKey: adminTestToken, maxRetries: 0 })
    const compatible = createOpenAICompatible({ name: 'glim', baseURL, apiKey: adminTestToken })
    // Each slows the others down, so that all take long.
    const [raw, chat, message, generated] = await Promise.all([
      server.send('POST', '/v1/chat/completions', { ...long, max_tokens: 300 }),
      openai.chat.completions.create({ ...long, n: 6, max_tokens: 300 }),
      anthropic.messages.create({ model, messages, max_tokens: 300, ...greedy }),
      generateText({ model: compatible(model), messages, maxOutputTokens: 300, temperature: 0 }),
    ])
    expect(raw.text).toMatch(/^ +\{/)
    expect([raw.status, raw.json.usage.completion_tokens]).toEqual([200, 8 * 300])
    expect(raw.headers.get('content-length')).toBeNull()
    expect(chat.usage!.completion_tokens).toBe(6 * 300)
    expect(message.content).toMatchObject([{ type: 'text', text: generated.text }])
  })

  it('is ended soon after its caller has gone', async () => {
    const controller = new AbortController()
    const sent = server.send('POST', '/v1/chat/completions', long, { signal: controller.signal })
    await vi.waitFor(async () => expect(await inFlight()).toBe(1), { interval: 20 })
    controller.abort()
    await expect(sent).rejects.toThrow('abort')
    // The whole of it would take several times as long.
    await vi.waitFor(async () => expect(await inFlight()).toBe(0), { timeout: 2_500, interval: 20 })
    await vi.waitFor(async () => expect(await metric('request_4xx_count_total')).toBe(1), 5_000)
  })

  it('is refused where more wait already than can, with the time after which to come again, and not once they have gone', async () => {
    const controller = new AbortController()
    const refused = Promise.withResolvers<Reply>()
    const asked = Array.from({ length: 100 }, async () => {
      const reply = await server.send('POST', '/v1/chat/completions', long, { signal: controller.signal })
      if (reply.status !== 200) refused.resolve(reply)
    })
    const { status, headers } = await refused.promise
    controller.abort()
    await Promise.allSettled(asked)
    expect([status, headers.get('retry-after')]).toEqual([429, expect.stringMatching(/^[1-9]\d*$/)])

    // The whole of what waited would take minutes.
    const short = { ...long, max_tokens: 1, n: 1 }
    const answered = async () => expect((await server.send('POST', '/v1/chat/completions', short)).status).toBe(200)
    await vi.waitFor(answered, { timeout: 20_000, interval: 100 })
    await vi.waitFor(async () => expect(await inFlight()).toBe(0), { timeout: 20_000, interval: 100 })
  }, 60_000)
})
