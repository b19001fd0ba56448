/** The parts of `glim chat` that need no server: what is sent, what is shown, what the slash commands change. */
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { badRequest, doesNotExist } from '#contracts/errors.ts'
import { answer } from '#src/cli/chat/answer.ts'
import { Conversation } from '#src/cli/chat/conversation.ts'
import { converse } from '#src/cli/chat/converse.ts'
import { runSlash } from '#src/cli/chat/slash-commands.ts'
import type { ChatPart, ChatRequest } from '#src/client/chat.ts'
import { recordingTerminal } from './recording-terminal.ts'

const end = { kind: 'end', finishReason: 'stop', promptTokens: 5, cachedTokens: 0, completionTokens: 3 } as const

/** A server's side of a chat: the parts it sends, and what it was asked. */
function chatting(parts: readonly (ChatPart | Error)[]) {
  const asked: ChatRequest[] = []
  return {
    asked,
    async *chat(request: ChatRequest, signal?: AbortSignal): AsyncGenerator<ChatPart> {
      asked.push(request)
      for (const part of parts) {
        if (signal?.aborted) throw new DOMException('This operation was aborted', 'AbortError')
        if (part instanceof Error) throw part
        yield part
      }
    },
  }
}

/** A clock that is one second further each time. */
function ticking(): () => number {
  let seconds = 0
  return () => 1_000 * seconds++
}

describe('an answer in a chat', () => {
  it('is written as it comes, counted, and remembered with its question', async () => {
    const conversation = new Conversation('story', 'Be kind.', { seed: 7 })
    const terminal = recordingTerminal()
    const client = chatting([{ kind: 'text', text: 'Once' }, { kind: 'text', text: ' upon' }, end])
    const signal = new AbortController().signal
    await answer('Tell me', conversation, { client, terminal, signal, now: ticking() })

    expect(terminal.written).toEqual(['Once', ' upon', '\n'])
    expect(terminal.noted).toEqual(['[5 tokens read, first after 1000 ms; 3 written, 2 tokens/s]'])
    expect(conversation.request('Go on')).toEqual({
      model: 'story',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Tell me' },
        { role: 'assistant', content: 'Once upon' },
        { role: 'user', content: 'Go on' },
      ],
      seed: 7,
    })
  })

  it('that the person stopped counts as far as it went', async () => {
    const conversation = new Conversation('story', undefined, {})
    const stopped = new AbortController()
    const terminal = recordingTerminal()
    terminal.write = () => stopped.abort()
    const client = chatting([{ kind: 'text', text: 'Once' }, { kind: 'text', text: ' upon' }, end])
    await answer('Tell me', conversation, { client, terminal, signal: stopped.signal })
    expect(conversation.turns.at(-1)).toEqual({ role: 'assistant', content: 'Once' })
    expect(terminal.noted).toEqual(['[stopped]'])
  })

  it('that was refused leaves the conversation as it was', async () => {
    const conversation = new Conversation('story', undefined, {})
    const client = chatting([badRequest('The prompt is too long.')])
    const options = { client, terminal: recordingTerminal(), signal: new AbortController().signal }
    await expect(answer('Tell me', conversation, options)).rejects.toThrow('too long')
    expect(conversation.turns).toEqual([])
  })
})

describe('a conversation on a terminal', () => {
  /** What is typed, and whether anybody still waits for more. */
  function keyboard(...lines: string[]) {
    const input = new PassThrough()
    for (const line of lines) input.write(`${line}\n`)
    return { input, output: new PassThrough() }
  }

  it('answers lines in the order in which they came, also those that came during an answer', async () => {
    const conversation = new Conversation('story', undefined, {})
    const client = chatting([{ kind: 'text', text: 'Yes' }, end])
    const terminal = recordingTerminal()
    await converse(conversation, {
      client,
      terminal,
      ...keyboard('one', '', 'two', '/max 5', 'three', '/quit', 'four'),
    })
    expect(client.asked.map(({ messages, max_tokens }) => [messages.at(-1)!.content, max_tokens])).toEqual([
      ['one', undefined],
      ['two', undefined],
      ['three', 5],
    ])
    expect(conversation.turns).toHaveLength(6)
  })

  it('goes on after a refusal of one message', async () => {
    const conversation = new Conversation('story', undefined, {})
    const client = chatting([badRequest('The prompt is too long.')])
    const terminal = recordingTerminal()
    await converse(conversation, { client, terminal, ...keyboard('one', 'two', '/quit') })
    expect(client.asked).toHaveLength(2)
    expect(terminal.noted.filter((note) => note.includes('too long'))).toHaveLength(2)
  })

  it('ends with what no message can change, and leaves the input alone then', async () => {
    const conversation = new Conversation('nobody', undefined, {})
    const client = chatting([doesNotExist('There is no such endpoint.')])
    const { input, output } = keyboard('one', 'two')
    await expect(converse(conversation, { client, terminal: recordingTerminal(), input, output })).rejects.toThrow(
      'no such endpoint',
    )
    expect(input.isPaused()).toBe(true)
    expect(client.asked).toHaveLength(1)
  })

  it('ends with its input', async () => {
    const conversation = new Conversation('story', undefined, {})
    const client = chatting([end])
    const { input, output } = keyboard('one')
    input.end()
    await converse(conversation, { client, terminal: recordingTerminal(), input, output })
    expect(client.asked).toHaveLength(1)
  })
})

describe('a slash command', () => {
  const conversation = () => {
    const made = new Conversation('story', undefined, {})
    made.add('Tell me', 'Once upon a time')
    return made
  }

  it('sets a number within its bounds and says so', () => {
    const chat = conversation()
    expect(runSlash('/temperature 0.5', chat)).toBe('temperature: 0.5.')
    expect(runSlash('/max 20', chat)).toBe('max: 20.')
    expect(chat.settings).toEqual({ temperature: 0.5, maxTokens: 20 })
    expect(runSlash('/temperature', chat)).toBe("temperature: the model's own.")
    expect(chat.settings).toEqual({ maxTokens: 20 })
  })

  it.each([
    ['/temperature hot', '/temperature takes a number from 0 to 2, and "hot" came.'],
    ['/max 1.5', '/max takes a whole number from 1 to 1000000, and "1.5" came.'],
    ['/seed -1', '/seed takes a whole number from 0 to 2147483648, and "-1" came.'],
  ])('%s is refused with what it takes', (line, said) => {
    const chat = conversation()
    expect(runSlash(line, chat)).toBe(said)
    expect(chat.settings).toEqual({})
  })

  it('takes back, forgets and shows what was said', () => {
    const chat = conversation()
    expect(runSlash('/history', chat)).toBe('user: Tell me\nassistant: Once upon a time')
    expect(runSlash('/undo', chat)).toBe('Taken back.')
    expect(runSlash('/undo', chat)).toBe('There is nothing to take back.')
    chat.add('a', 'b')
    expect(runSlash('/clear', chat)).toBe('Forgotten.')
    expect(chat.turns).toEqual([])
  })

  it('that does not exist is answered with those that do', () => {
    expect(runSlash('/sing', conversation())).toMatch(/^There is no command \/sing\.\n {2}\/help/)
  })

  it('ends the chat', () => {
    expect(runSlash('/quit', conversation())).toBeNull()
  })
})
