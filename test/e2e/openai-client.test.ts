/** The unmodified `openai` package against a real server. */
import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { embedderFiles, scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await importFiles(server, embedderFiles(), 'words')
  await createEndpoint(server, 'words', 'words')
  await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'scale')
  await createEndpoint(server, 'scale', 'scale')
})
afterAll(() => server.stop())

function openai(base: string, apiKey = adminTestToken): OpenAI {
  return new OpenAI({ baseURL: new URL(base, server.url).href, apiKey, maxRetries: 0 })
}

function lengthOf(vector: readonly number[]): number {
  return Math.hypot(...vector)
}

async function refusal(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(APIError)
  return error as APIError
}

describe.each(['/v1', '/serving-endpoints'])('embeddings at %s', (base) => {
  it('are unit vectors with real usage, the same in the default base64 and in float', async () => {
    const input = ['hello world', 'cat']
    const byDefault = await openai(base).embeddings.create({ model: 'words', input })
    const asFloats = await openai(base).embeddings.create({ model: 'words', input, encoding_format: 'float' })
    expect(byDefault.object).toBe('list')
    expect(byDefault.model).toBe('words')
    expect(byDefault.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 })
    expect(byDefault.data.map(({ object, index }) => [object, index])).toEqual([
      ['embedding', 0],
      ['embedding', 1],
    ])
    for (const [index, { embedding }] of byDefault.data.entries()) {
      expect(embedding).toHaveLength(4)
      expect(lengthOf(embedding)).toBeCloseTo(1, 6)
      expect(Array.from(embedding)).toEqual(asFloats.data[index]!.embedding)
    }
  })

  it('honour an explicit base64', async () => {
    const reply = await openai(base).embeddings.create({ model: 'words', input: 'hello', encoding_format: 'base64' })
    const bytes = Buffer.from(reply.data[0]!.embedding as unknown as string, 'base64')
    expect(bytes.byteLength).toBe(16)
  })

  it('are cut to the dimensions asked for and stay unit vectors', async () => {
    const reply = await openai(base).embeddings.create({ model: 'words', input: 'hello', dimensions: 2 })
    expect(reply.data[0]!.embedding).toHaveLength(2)
    expect(lengthOf(reply.data[0]!.embedding)).toBeCloseTo(1, 6)
  })

  it('of a text are the same alone and in a list', async () => {
    const one = await openai(base).embeddings.create({ model: 'words', input: 'good dog' })
    const among = await openai(base).embeddings.create({ model: 'words', input: ['cat', 'good dog', 'x'] })
    expect(among.data[1]!.embedding).toEqual(one.data[0]!.embedding)
  })
})

describe('models', () => {
  it('list the endpoints, and one of them', async () => {
    const ids: string[] = []
    for await (const model of openai('/v1').models.list()) ids.push(model.id)
    expect(ids.sort()).toEqual(['scale', 'words'])
    const words = await openai('/v1').models.retrieve('words')
    expect(words).toMatchObject({ id: 'words', object: 'model', owned_by: 'admin' })
    expect(Math.abs(words.created - Date.now() / 1000)).toBeLessThan(60)
  })
})

describe('errors', () => {
  it.each([
    [
      'an unknown model',
      '/v1',
      { model: 'nobody', input: 'x' },
      404,
      'resource_does_not_exist',
      'The given endpoint does not exist',
    ],
    [
      'a model of another task',
      '/v1',
      { model: 'scale', input: 'x' },
      400,
      'bad_request',
      'embeddings need an endpoint that serves feature-extraction',
    ],
    [
      'an empty list',
      '/serving-endpoints',
      { model: 'words', input: [] },
      400,
      'invalid_parameter_value',
      'input: expected at least one text',
    ],
    ['an empty text', '/v1', { model: 'words', input: ['a', ''] }, 400, 'invalid_parameter_value', 'input[1]'],
    [
      'token ids',
      '/v1',
      { model: 'words', input: [[1, 2]] },
      400,
      'invalid_parameter_value',
      'token ids are not accepted',
    ],
    [
      'too many dimensions',
      '/v1',
      { model: 'words', input: 'x', dimensions: 5 },
      400,
      'invalid_parameter_value',
      'dimensions',
    ],
  ] as const)('show status, code and message for %s', async (_what, base, body, status, code, message) => {
    const error = await refusal(openai(base).embeddings.create(body as never))
    expect([error.status, error.code]).toEqual([status, code])
    expect(error.message).toContain(message)
    expect(error.requestID).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('show a wrong key as an authentication error', async () => {
    const error = await refusal(openai('/v1', 'wrong').embeddings.create({ model: 'words', input: 'x' }))
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
    expect([error.code, error.type]).toEqual(['unauthenticated', 'authentication_error'])
    expect(error.message).toContain('The token is not valid.')
  })

  it('name the task of an endpoint that does not chat', async () => {
    const chat = { model: 'words', messages: [{ role: 'user' as const, content: 'hi' }] }
    for (const base of ['/v1', '/serving-endpoints']) {
      const error = await refusal(openai(base).chat.completions.create(chat))
      expect([error.status, error.code, error.param]).toEqual([400, 'bad_request', 'model'])
      expect(error.message).toContain('The endpoint words serves the task feature-extraction')
    }
  })
})

describe.skipIf(!haveSharedModels)(`a real sentence embedder (${withoutSharedModels})`, () => {
  it('gives unit vectors for texts of different lengths, each as it would be alone', async () => {
    await importFolder(server, sharedModelPath('fixture-bert-random-sentence_embedding', ''), 'sentences')
    await createEndpoint(server, 'sentences', 'sentences')
    const input = ['hello', 'where is my new card? it has not arrived yet', 'a']
    const { data, usage } = await openai('/v1').embeddings.create({ model: 'sentences', input })
    const alone = await openai('/v1').embeddings.create({ model: 'sentences', input: input[1]! })
    for (const { embedding } of data) expect(lengthOf(embedding)).toBeCloseTo(1, 5)
    for (const [at, value] of alone.data[0]!.embedding.entries()) expect(data[1]!.embedding[at]).toBeCloseTo(value, 5)
    expect(usage.prompt_tokens).toBeGreaterThan(alone.usage.prompt_tokens)
  })
})
