/** Text generation through the unmodified clients `openai`, `@anthropic-ai/sdk` and `ai` against a real server. */
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
import { generateObject, generateText, streamText, tool } from 'ai'
import OpenAI, { APIError } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createEndpoint, importFiles, importFolder } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

const start = 'Once upon a time'
/** What the model goes on with when it takes the likeliest token each time. */
const story = ', there was a little girl named Lily. She loved to play outsid'
const messages = [{ role: 'user' as const, content: start }]
const greedy = { model: 'stories', temperature: 0 }

const pet = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, age: { type: 'integer', minimum: 0, maximum: 20 } },
  required: ['name', 'age'],
  additionalProperties: false,
} as const
const petTool = { name: 'adopt', description: 'Adopts a pet.', parameters: pet }

function expectPet(value: unknown): void {
  expect(value).toEqual({ name: expect.any(String), age: expect.any(Number) })
}

describe.skipIf(!haveSharedModels)(`text generation (${withoutSharedModels})`, () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    await importFolder(server, sharedModelPath('stories260k', ''), 'stories')
    await createEndpoint(server, 'stories', 'stories')
    await importFiles(server, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'scale')
    await createEndpoint(server, 'scale', 'scale')
  })
  afterAll(() => server?.stop())

  const openai = (base = '/v1') =>
    new OpenAI({ baseURL: new URL(base, server.url).href, apiKey: adminTestToken, maxRetries: 0 })
  const anthropic = () => new Anthropic({ baseURL: server.url.origin, apiKey: adminTestToken, maxRetries: 0 })
  const stories = () =>
    createOpenAICompatible({
      name: 'glim',
      baseURL: new URL('/v1', server.url).href,
      apiKey: adminTestToken,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })('stories')

  describe.each(['/v1', '/serving-endpoints'])('openai at %s', (base) => {
    it('chats', async () => {
      const reply = await openai(base).chat.completions.create({ ...greedy, messages, max_tokens: 20 })
      expect(reply.choices).toMatchObject([{ index: 0, message: { content: story }, finish_reason: 'length' }])
      expect(reply.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 20, total_tokens: 25 })
    })

    it('streams the same text, with its usage at the end', async () => {
      const stream = openai(base).chat.completions.stream({
        ...greedy,
        messages,
        max_tokens: 20,
        stream_options: { include_usage: true },
      })
      let text = ''
      stream.on('content', (delta) => {
        text += delta
      })
      const final = await stream.finalChatCompletion()
      expect([text, final.choices[0]!.message.content]).toEqual([story, story])
      expect(await stream.totalUsage()).toMatchObject({ prompt_tokens: 5, completion_tokens: 20 })
    })

    it('completes several prompts, streamed or not', async () => {
      const asked = { ...greedy, prompt: [start, 'One day'], max_tokens: 20, logprobs: 1 }
      const whole = await openai(base).completions.create(asked)
      expect(whole.choices[0]!.text).toBe(story)
      expect(whole.choices[0]!.logprobs!.tokens!.join('')).toBe(story)
      const texts = ['', '']
      for await (const chunk of await openai(base).completions.create({ ...asked, stream: true }))
        for (const choice of chunk.choices) texts[choice.index] += choice.text
      expect(texts).toEqual(whole.choices.map((choice) => choice.text))
    })

    it('responds, and goes on from what it has said', async () => {
      const first = await openai(base).responses.create({ ...greedy, input: start, max_output_tokens: 20 })
      expect(first.output_text).toBe(story)
      expect(await openai(base).responses.retrieve(first.id)).toMatchObject({ id: first.id, output_text: story })
      const stream = openai(base).responses.stream({
        ...greedy,
        previous_response_id: first.id,
        input: 'Then',
        max_output_tokens: 5,
      })
      const second = await stream.finalResponse()
      expect(second.usage!.input_tokens).toBeGreaterThan(first.usage!.total_tokens - 2)
      const items = await Array.fromAsync(openai(base).responses.inputItems.list(second.id, { limit: 2, order: 'asc' }))
      expect(items.map((item) => ('content' in item ? item.content : item))).toMatchObject([
        [{ type: 'input_text', text: start }],
        [{ type: 'output_text', text: story }],
        [{ type: 'input_text', text: 'Then' }],
      ])
      await openai(base).responses.delete(first.id)
      await expect(openai(base).responses.retrieve(first.id)).rejects.toMatchObject({ status: 404 })
      await expect(
        openai(base).responses.create({ ...greedy, input: 'x', previous_response_id: first.id }),
      ).rejects.toMatchObject({ status: 404 })
    })
  })

  describe('openai', () => {
    it('takes the same text for the same seed, and choices of their own', async () => {
      const asked = { model: 'stories', messages, max_tokens: 12, temperature: 1, seed: 7, n: 3 }
      const [one, other] = [
        await openai().chat.completions.create(asked),
        await openai().chat.completions.create(asked),
      ]
      const texts = one.choices.map(({ message }) => message.content)
      expect(other.choices.map(({ message }) => message.content)).toEqual(texts)
      expect(new Set(texts).size).toBeGreaterThan(1)
    })

    it('ends at a stop text, which is not part of the reply', async () => {
      const reply = await openai().chat.completions.create({ ...greedy, messages, max_tokens: 40, stop: ['Lily'] })
      expect(reply.choices).toMatchObject([
        { message: { content: ', there was a little girl named ' }, finish_reason: 'stop' },
      ])
    })

    it('follows a JSON Schema', async () => {
      const reply = await openai().chat.completions.create({
        model: 'stories',
        messages,
        max_tokens: 80,
        response_format: { type: 'json_schema', json_schema: { name: 'pet', schema: pet, strict: true } },
      })
      expectPet(JSON.parse(reply.choices[0]!.message.content!))
      const response = await openai().responses.create({
        model: 'stories',
        input: start,
        max_output_tokens: 80,
        text: { format: { type: 'json_schema', name: 'pet', schema: pet, strict: true } },
      })
      expectPet(JSON.parse(response.output_text))
    })

    it('calls a tool that it must call, streamed or not', async () => {
      const asked = {
        model: 'stories',
        messages,
        max_tokens: 100,
        tools: [{ type: 'function' as const, function: petTool }],
        tool_choice: 'required' as const,
      }
      const whole = await openai().chat.completions.create(asked)
      const streamed = await openai().chat.completions.stream(asked).finalChatCompletion()
      for (const { choices } of [whole, streamed]) {
        expect(choices[0]!.finish_reason).toBe('tool_calls')
        const [call] = choices[0]!.message.tool_calls!
        if (call!.type !== 'function') throw new Error('no function')
        expect(call!.function.name).toBe('adopt')
        expectPet(JSON.parse(call!.function.arguments))
      }
      const response = await openai().responses.create({
        model: 'stories',
        input: start,
        max_output_tokens: 100,
        tools: [{ type: 'function', strict: true, ...petTool }],
        tool_choice: { type: 'function', name: 'adopt' },
      })
      const call = response.output.find((item) => item.type === 'function_call')
      expect(call?.name).toBe('adopt')
      expectPet(JSON.parse(call!.arguments))
    })

    it('stops a stream that the caller aborts', async () => {
      const stream = await openai().chat.completions.create({
        model: 'stories',
        messages,
        n: 8,
        stream: true,
        ...({ ignore_eos: true } as object),
      })
      let chunks = 0
      for await (const _chunk of stream) if (++chunks === 12) stream.controller.abort()
      expect(chunks).toBeLessThan(4_000)
    })

    it.each<[string, object, number, string | null, string]>([
      ['an unknown endpoint', { model: 'nobody' }, 404, 'resource_does_not_exist', 'does not exist'],
      ['an endpoint of another task', { model: 'scale' }, 400, 'bad_request', 'serves the task tensor'],
      ['a temperature of 3', { temperature: 3 }, 400, 'invalid_parameter_value', 'temperature: expected at most 2'],
      [
        'a conversation without end',
        { messages: [{ role: 'user', content: 'a b '.repeat(2_000) }] },
        400,
        'invalid_parameter_value',
        '512',
      ],
    ])('shows status, code and message for %s, streamed or not', async (_what, fields, status, code, message) => {
      for (const stream of [false, true]) {
        const asked = { model: 'stories', messages, max_tokens: 4, stream, ...fields }
        const error: unknown = await openai()
          .chat.completions.create(asked)
          .then(
            () => undefined,
            (reason: unknown) => reason,
          )
        expect(error).toBeInstanceOf(APIError)
        expect(error).toMatchObject({ status, code, message: expect.stringContaining(message) })
      }
    })
  })

  describe('@anthropic-ai/sdk', () => {
    it('gets a message, streamed or not, with the key in x-api-key', async () => {
      const asked = { ...greedy, max_tokens: 20, messages }
      const whole = await anthropic().messages.create(asked)
      expect(whole).toMatchObject({
        content: [{ type: 'text', text: story }],
        stop_reason: 'max_tokens',
        usage: { output_tokens: 20 },
      })
      expect(whole._request_id).toMatch(/^[0-9a-f-]{36}$/)
      const streamed = await anthropic().messages.stream(asked).finalMessage()
      expect(streamed.content).toMatchObject(whole.content)
      expect(streamed.usage.output_tokens).toBe(20)
    })

    it('counts tokens', async () => {
      expect(await anthropic().messages.countTokens({ model: 'stories', messages })).toEqual({ input_tokens: 5 })
    })

    it('gets the use of a tool', async () => {
      const { content, stop_reason } = await anthropic()
        .messages.stream({
          model: 'stories',
          max_tokens: 100,
          messages,
          tools: [{ name: 'adopt', input_schema: { ...pet, required: [...pet.required] } }],
          tool_choice: { type: 'any' },
        })
        .finalMessage()
      const use = content.find((block) => block.type === 'tool_use')
      expect([stop_reason, use?.name]).toEqual(['tool_use', 'adopt'])
      expectPet(use!.input)
    })

    it('shows refusals in its own classes', async () => {
      await expect(anthropic().messages.create({ model: 'nobody', max_tokens: 1, messages })).rejects.toThrow(
        Anthropic.NotFoundError,
      )
      const wrongKey = new Anthropic({ baseURL: server.url.origin, apiKey: 'wrong', maxRetries: 0 })
      await expect(wrongKey.messages.create({ model: 'stories', max_tokens: 1, messages })).rejects.toThrow(
        Anthropic.AuthenticationError,
      )
    })
  })

  describe('ai with @ai-sdk/openai-compatible', () => {
    it('generates text', async () => {
      const { text, usage, finishReason } = await generateText({
        model: stories(),
        prompt: start,
        temperature: 0,
        maxOutputTokens: 20,
      })
      expect({ text, finishReason }).toEqual({ text: story, finishReason: 'length' })
      expect(usage).toMatchObject({ inputTokens: 5, outputTokens: 20 })
    })

    it('streams text', async () => {
      const result = streamText({ model: stories(), prompt: start, temperature: 0, maxOutputTokens: 20 })
      expect((await Array.fromAsync(result.textStream)).join('')).toBe(story)
      expect(await result.usage).toMatchObject({ inputTokens: 5, outputTokens: 20 })
    })

    it('generates an object', async () => {
      const { object } = await generateObject({
        model: stories(),
        prompt: start,
        maxOutputTokens: 80,
        schema: z.object({ name: z.string().max(8), age: z.number().int().min(0).max(20) }),
      })
      expectPet(object)
    })

    it('calls a tool', async () => {
      const { toolCalls } = await generateText({
        model: stories(),
        prompt: start,
        maxOutputTokens: 100,
        tools: {
          adopt: tool({ inputSchema: z.object({ name: z.string().max(8), age: z.number().int().min(0).max(20) }) }),
        },
        toolChoice: 'required',
      })
      expect(toolCalls[0]?.toolName).toBe('adopt')
      expectPet(toolCalls[0]!.input)
    })
  })
})
