/** What holds for every dialect: one row whatever happens, back-pressure, aborts, and failures before and after the first byte. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { exhausted, internal, invalidParameter } from '#contracts/errors.ts'
import type { GenerationEvent } from '#contracts/generation.ts'
import { done, end, read, saying, scriptedGateway, text } from '../support/scripted-generation.ts'

const chat = { model: 'tale', messages: [{ role: 'user', content: 'hi' }] }
const streamed = { ...chat, stream: true }

function post(body: unknown, signal?: AbortSignal): RequestInit {
  return { method: 'POST', body: JSON.stringify(body), ...(signal ? { signal } : {}) }
}

/** Words without end; says when it was ended. */
function endless() {
  const state = { given: 0, isEnded: false }
  async function* events(signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    try {
      yield read
      for (;;) {
        signal.throwIfAborted()
        state.given += 1
        yield text(`word ${state.given} `)
      }
    } finally {
      state.isEnded = true
    }
  }
  return { state, events }
}

/** One word, then nothing until the signal. */
async function* stuck(signal: AbortSignal): AsyncGenerator<GenerationEvent> {
  yield read
  yield text('word')
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

describe('a reply', () => {
  it.each([false, true])('has one row with its tokens and times (streamed: %s)', async (stream) => {
    const gateway = scriptedGateway(() => saying('a', 'b'))
    await gateway.send('/v1/chat/completions', { ...chat, stream })
    await gateway.settled()
    expect(gateway.rows).toEqual([
      {
        requestId: '00000000-0000-4000-8000-000000000001',
        clientRequestId: null,
        endpointId: 'e',
        endpoint: 'tale',
        entity: 'tale-1',
        model: 'tale/1',
        requester: 'ann',
        startedMs: 1_700_000_000_000,
        durationMs: 0,
        status: 200,
        promptTokens: 7,
        completionTokens: 3,
        runMs: 27,
        loadMs: 2,
      },
    ])
  })

  it('of an entity of another task is refused with the task that it serves', async () => {
    const gateway = scriptedGateway(() => saying('never'), 'feature-extraction')
    const reply = await gateway.send('/v1/chat/completions', chat)
    expect([reply.status, JSON.parse(reply.text).error]).toMatchObject([
      400,
      {
        param: 'model',
        message:
          'The endpoint tale serves the task feature-extraction; this route needs one that serves text-generation.',
      },
    ])
    expect(gateway.rows.map(({ status }) => status)).toEqual([400])
  })

  it.each([false, true])('that the host refuses is an HTTP error with Retry-After (streamed: %s)', async (stream) => {
    const gateway = scriptedGateway(() => {
      throw exhausted('The queue is full.', 3)
    })
    const reply = await gateway.send('/v1/chat/completions', { ...chat, stream })
    expect([reply.status, reply.headers.get('retry-after'), JSON.parse(reply.text).error.type]).toEqual([
      429,
      '3',
      'rate_limit_error',
    ])
    expect(gateway.rows.map(({ status }) => status)).toEqual([429])
  })

  it.each([false, true])('that fails at once is an HTTP error too (streamed: %s)', async (stream) => {
    const gateway = scriptedGateway(() => [
      {
        type: 'failed',
        error: { code: 'INVALID_PARAMETER_VALUE', status: 400, message: 'Too long.', field: 'messages' },
      },
    ])
    const reply = await gateway.send('/v1/chat/completions', { ...chat, stream })
    expect([reply.status, JSON.parse(reply.text).error.param]).toEqual([400, 'messages'])
    expect(gateway.rows.map(({ status }) => status)).toEqual([400])
  })

  it.each<[string, () => Iterable<GenerationEvent> | AsyncIterable<GenerationEvent>]>([
    ['just stops', () => [read, text('a'), end()]],
    [
      'throws',
      async function* () {
        yield read
        yield text('a')
        throw new TypeError('secret')
      },
    ],
  ])(
    'whose events %s has lost its replica, which may be asked again, and says nothing of the inside',
    async (_what, events) => {
      for (const stream of [false, true]) {
        const gateway = scriptedGateway(events)
        const reply = await gateway.send('/v1/chat/completions', { ...chat, stream })
        expect(reply.text).toMatch(/replica .* was lost.*temporarily_unavailable/)
        expect(reply.text).not.toMatch(/secret|DONE/)
        expect([reply.status, reply.headers.get('retry-after')]).toEqual(stream ? [200, null] : [503, '1'])
        expect(gateway.rows.map(({ status, completionTokens }) => [status, completionTokens])).toEqual([[503, 1]])
      }
    },
  )
})

describe('a reply in one piece that takes longer than a second', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Says one text and then nothing until `go`. */
  function slow(...last: GenerationEvent[]) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const state = { isEnded: false }
    async function* events(signal: AbortSignal) {
      yield* [read, text('a')]
      signal.addEventListener('abort', () => resolve())
      await promise
      state.isEnded = signal.aborted
      yield* last
    }
    return { events, go: resolve, state }
  }

  async function begun(source: ReturnType<typeof slow>, path = '/v1/chat/completions', body: object = chat) {
    const gateway = scriptedGateway((_request, signal) => source.events(signal))
    const sent = gateway.fetch(`http://glim${path}`, post(body))
    await vi.advanceTimersByTimeAsync(1_000)
    const reply = await sent
    return { gateway, reply, reader: reply.body!.pipeThrough(new TextDecoderStream()).getReader() }
  }

  it('begins with white space, twice a second, and is the same document', async () => {
    const source = slow(text('b'), end(), done)
    const { gateway, reply, reader } = await begun(source)
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect((await reader.read()).value).toBe(' ')
    const next = reader.read()
    await vi.advanceTimersByTimeAsync(500)
    expect((await next).value).toBe(' ')
    expect(gateway.rows).toEqual([])
    source.go()
    const document = JSON.parse(` ${(await reader.read()).value}`)
    expect(document).toMatchObject({ object: 'chat.completion', choices: [{ message: { content: 'ab' } }] })
    expect((await reader.read()).done).toBe(true)
    expect(gateway.rows).toMatchObject([{ status: 200, completionTokens: 3 }])
  })

  it.each<[string, object, object]>([
    ['/v1/chat/completions', chat, { error: { code: 'internal_error' }, error_code: 'INTERNAL_ERROR' }],
    [
      '/v1/messages',
      { model: 'tale', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
      { type: 'error', error: { type: 'api_error' } },
    ],
  ])('says at %s why it fails, and breaks off', async (path, body, error) => {
    const source = slow({ type: 'failed', error: internal('No more.').toJSON() })
    const { gateway, reader } = await begun(source, path, body)
    await reader.read()
    source.go()
    expect(JSON.parse((await reader.read()).value!)).toMatchObject(error)
    await expect(reader.read()).rejects.toThrow('has failed')
    expect(gateway.rows.map(({ status }) => status)).toEqual([500])
  })

  it('stops the model when its reader has gone', async () => {
    const source = slow(text('b'), end(), done)
    const { gateway, reader } = await begun(source)
    await reader.read()
    await reader.cancel()
    await gateway.settled()
    await vi.advanceTimersByTimeAsync(500)
    expect(source.state.isEnded).toBe(true)
    expect(gateway.rows).toMatchObject([{ status: 499, completionTokens: 1 }])
  })
})

describe('a reply whose first event is more than three seconds in coming', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** Says nothing until `go` is given what it says then, or throws; ends with its caller. */
  function queued() {
    const { promise, resolve, reject } = Promise.withResolvers<GenerationEvent[]>()
    const state = { isEnded: false }
    const host = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => {
        state.isEnded = true
        reject(signal.reason)
      })
      return promise
    }
    return { host, go: resolve, refuse: reject, state }
  }

  /** Resolves once the reply has said that it waits. */
  async function waiting(source: ReturnType<typeof queued>, body: object, path = '/v1/chat/completions') {
    const gateway = scriptedGateway((_request, signal) => source.host(signal))
    const sent = gateway.fetch(`http://glim${path}`, post(body))
    await vi.advanceTimersByTimeAsync(3_000)
    const reply = await sent
    const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader()
    const read = reader.read()
    await vi.advanceTimersByTimeAsync(500)
    return { gateway, reply, reader, sign: (await read).value }
  }

  /** What is left, and whether it comes to an end. */
  async function rest(reader: ReadableStreamDefaultReader<string>): Promise<{ text: string; isWhole: boolean }> {
    let text = ''
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value
      return { text, isWhole: true }
    } catch {
      return { text, isWhole: false }
    }
  }

  it('has signs of life and then what it says', async () => {
    for (const stream of [false, true]) {
      const source = queued()
      const { gateway, reply, reader, sign } = await waiting(source, { ...chat, stream })
      expect([reply.status, sign]).toEqual([200, stream ? ': waiting\n\n' : ' '])
      source.go(saying('a', 'b'))
      const { text } = await rest(reader)
      expect(stream ? text.match(/"content":"."/g) : JSON.parse(text).choices[0].message.content).toEqual(
        stream ? ['"content":"a"', '"content":"b"'] : 'ab',
      )
      expect(gateway.rows).toMatchObject([{ status: 200, completionTokens: 3 }])
    }
  })

  const { messages } = chat
  it.each<[string, object, RegExp]>([
    ['/v1/chat/completions', { messages }, /^data: \{"error":\{[^\n]*\n\n$/],
    ['/v1/completions', { prompt: 'a' }, /^data: \{"error":\{[^\n]*\n\n$/],
    ['/v1/responses', { input: 'a' }, /^event: error\ndata: .*\n\nevent: response.failed\ndata: .*\n\n$/],
    ['/v1/messages', { messages, max_tokens: 5 }, /^event: error\ndata: \{"type":"error"[^\n]*\n\n$/],
  ])('says in its body why it is refused: %s', async (path, body, inStream) => {
    for (const stream of [false, true]) {
      const source = queued()
      const { gateway, reader } = await waiting(source, { model: 'tale', ...body, stream }, path)
      source.refuse(exhausted('The queue is full.', 3))
      const { text, isWhole } = await rest(reader)
      expect(text).toContain('The queue is full.')
      if (stream) expect(text).toMatch(inStream)
      else expect(JSON.parse(text).error.message).toBe('The queue is full.')
      expect(isWhole).toBe(stream)
      expect(gateway.rows.map(({ status }) => status)).toEqual([429])
    }
  })

  it('gives its place in the queue back when its reader has gone', async () => {
    for (const stream of [false, true]) {
      const source = queued()
      const { gateway, reader } = await waiting(source, { ...chat, stream })
      await reader.cancel()
      await gateway.settled()
      await vi.advanceTimersByTimeAsync(500)
      expect(source.state.isEnded).toBe(true)
      expect(gateway.rows.map(({ status }) => status)).toEqual([499])
    }
  })
})

describe('a refusal of the host', () => {
  const messages = [{ role: 'user', content: 'hi' }]
  const schema = { type: 'object' }
  const format = { type: 'json_schema', name: 'x', schema }

  it.each<[string, object, string, string]>([
    ['/v1/chat/completions', { messages }, 'messages', 'messages'],
    ['/v1/chat/completions', { messages, max_completion_tokens: 1 }, 'max_tokens', 'max_completion_tokens'],
    ['/v1/chat/completions', { messages, guided_regex: 'a' }, 'structured_outputs.regex', 'guided_regex'],
    [
      '/v1/chat/completions',
      { messages, guided_json: schema },
      'response_format.json_schema.schema.properties.a',
      'guided_json.properties.a',
    ],
    ['/v1/completions', { messages, guided_choice: ['a'] }, 'structured_outputs.choice[0]', 'guided_choice[0]'],
    ['/v1/completions', { prompt: 'a' }, 'prompt', 'prompt'],
    ['/v1/completions', { prompt: [5, 6] }, 'prompt[1]', 'prompt[1]'],
    ['/v1/completions', { prompt: [[5, 6]] }, 'prompt[1]', 'prompt[0][1]'],
    ['/v1/responses', { input: 'a' }, 'messages[3].content', 'input'],
    ['/v1/responses', { input: 'a', max_output_tokens: 1 }, 'max_tokens', 'max_output_tokens'],
    [
      '/v1/responses',
      { input: 'a', text: { format } },
      'response_format.json_schema.schema.type',
      'text.format.schema.type',
    ],
    ['/v1/responses', { input: 'a' }, 'tools[1].function.parameters.type', 'tools[1].parameters.type'],
    ['/v1/messages', { messages, max_tokens: 5 }, 'messages[2]', 'messages'],
    ['/v1/messages', { messages, max_tokens: 5 }, 'tools[1].function.parameters', 'tools[1].input_schema'],
    [
      '/v1/messages',
      { messages, max_tokens: 5, output_config: { format } },
      'response_format.json_schema.schema',
      'output_config.format.schema',
    ],
  ])('names the field as the body of %s does: %j', async (path, body, named, shown) => {
    const gateway = scriptedGateway(() => {
      throw invalidParameter(named, 'cannot be.')
    })
    const reply = await gateway.send(path, { model: 'tale', ...body })
    const { error } = JSON.parse(reply.text)
    expect([reply.status, error.message]).toEqual([400, `${shown}: cannot be.`])
    if (path !== '/v1/messages') expect(error.param).toBe(shown)
  })
})

describe('a reader', () => {
  it('that stops reading stops the model', async () => {
    const source = endless()
    const gateway = scriptedGateway((_request, signal) => source.events(signal))
    const reply = await gateway.fetch('http://glim/v1/chat/completions', post(streamed))
    const reader = reply.body!.getReader()
    for (let chunks = 0; chunks < 4; chunks++) await reader.read()
    await new Promise((resolve) => setImmediate(resolve))
    expect(source.state.given).toBeLessThanOrEqual(5)
    await reader.cancel()
    await gateway.settled()
    await new Promise((resolve) => setImmediate(resolve))
    expect(source.state.isEnded).toBe(true)
    expect(gateway.rows).toMatchObject([{ status: 499, promptTokens: 7, completionTokens: source.state.given }])
  })

  it.each([false, true])('that goes away while the model is at work ends the work (streamed: %s)', async (stream) => {
    let ended: (() => void) | undefined
    const isEnded = new Promise<void>((resolve) => {
      ended = resolve
    })
    const gateway = scriptedGateway((_request, signal) => {
      signal.addEventListener('abort', () => ended!())
      return stuck(signal)
    })
    const controller = new AbortController()
    const reply = gateway.fetch('http://glim/v1/chat/completions', post({ ...chat, stream }, controller.signal))
    if (stream) {
      const reader = (await reply).body!.getReader()
      await reader.read()
      controller.abort()
    } else {
      await new Promise((resolve) => setImmediate(resolve))
      controller.abort()
      expect((await reply).status).toBe(499)
    }
    await isEnded
    await gateway.settled()
    expect(gateway.rows.map(({ status }) => status)).toEqual([499])
  })

  it('that goes away after the last event has a complete row', async () => {
    const gateway = scriptedGateway(() => [read, text('a'), end(), done])
    const reply = await gateway.fetch('http://glim/v1/chat/completions', post(streamed))
    const reader = reply.body!.getReader()
    for (let last = ''; !last.includes('[DONE]'); ) last = new TextDecoder().decode((await reader.read()).value)
    await reader.cancel()
    await gateway.settled()
    expect(gateway.rows.map(({ status, completionTokens }) => [status, completionTokens])).toEqual([[200, 3]])
  })
})
