/** Callers that go away in the middle of a text, over a real server: what they leave behind is nothing. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

const [streams, width] = [120, 10]
const prompts = ['Once upon a time', 'Lily had a red ball. Tim had a red ball. Lily had', 'The little fox']
const body = { temperature: 0.9, max_tokens: 400, ignore_eos: true, stream: true }

describe.skipIf(!haveSharedModels)(`abandoned streams (${withoutSharedModels})`, () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFolder(server, sharedModelPath('stories260k', ''), 'stories')
    await createEndpoint(server, 'stories', 'stories')
  })
  afterAll(() => server?.stop())

  it(`leave nothing behind: ${streams} of them`, async () => {
    for (let first = 0; first < streams; first += width) {
      await Promise.all(Array.from({ length: width }, (_, index) => abandon(first + index)))
    }
    await vi.waitFor(async () => expect(await inFlight()).toBe(0), 10_000)
    const whole = { prompt: prompts[0], temperature: 0, max_tokens: 10 }
    const ask = () => server.send('POST', '/serving-endpoints/stories/invocations', whole)
    // As many as the engine writes at once: a row that had been forgotten would keep one of them waiting for ever.
    const replies = await Promise.all(Array.from({ length: 16 }, ask))
    const texts = replies.map(({ json }) => json.choices[0].text)
    expect(new Set(texts)).toEqual(new Set([', there was a little girl named Lily']))
  })

  /** Goes away after the answer's first chunk, or some chunks later. */
  async function abandon(index: number): Promise<void> {
    const controller = new AbortController()
    const response = await fetch(new URL('/serving-endpoints/stories/invocations', server.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${adminTestToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, prompt: prompts[index % prompts.length], seed: index, n: 1 + (index % 2) }),
      signal: controller.signal,
    })
    expect(response.status).toBe(200)
    const reader = response.body!.getReader()
    for (let chunk = (index * 7) % 5; chunk >= 0; chunk--) await reader.read()
    controller.abort()
  }

  async function inFlight(): Promise<number> {
    const { text } = await server.send('GET', '/api/2.0/serving-endpoints/stories/metrics')
    return Number(/^provisioned_concurrent_requests_total\{.*\} (\d+)$/m.exec(text)?.[1] ?? -1)
  }
})
