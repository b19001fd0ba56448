import { describe, expect, it } from 'vitest'
import type { ChatMessage, Prompt } from '#contracts/generation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { textOf } from '#src/engine/generation/detokenizer.ts'
import { loadPromptReader } from '#src/engine/generation/prompt.ts'
import { loadVocabulary } from '#src/engine/generation/vocabulary.ts'
import { overlayReader } from '../../support/shared-models.ts'
import { byteLevelReader, storyReader } from './tokenizer-files.ts'

async function load(reader: ArtifactReader, contextLength = 64) {
  const loaded = await loadVocabulary(reader)
  return { loaded, ...(await loadPromptReader({ reader, loaded, contextLength })) }
}
const messages = (...contents: string[]): Prompt => ({
  kind: 'messages',
  messages: contents.map((content): ChatMessage => ({ role: 'user', content })),
  tools: [],
  toolChoice: 'auto',
  parallelToolCalls: true,
})
const text = (words: string): Prompt => ({ kind: 'text', text: words })
const withTemplate = (chat_template: string) =>
  overlayReader(
    { 'tokenizer_config.json': JSON.stringify({ bos_token: '<s>', eos_token: '</s>', chat_template }) },
    storyReader,
  )

describe('loadPromptReader', () => {
  it('puts what the tokenizer adds around a text', async () => {
    const { loaded, read } = await load(storyReader)
    const prompt = read(text('Once upon a time'))
    expect(prompt).toEqual({
      tokens: [1, ...loaded.encode('Once upon a time', { special: true })],
      text: 'Once upon a time',
      stripLeadingSpace: false,
      reasoning: null,
    })
    expect(textOf(loaded.vocabulary, prompt.tokens, { stripLeadingSpace: true })).toBe('Once upon a time')
  })

  it('writes the begin token once, whether text, template or only the tokenizer has it', async () => {
    const begins = ({ tokens }: { tokens: readonly number[] }) => tokens.filter((token) => token === 1).length
    const plain = await load(storyReader)
    expect(begins(plain.read(text('<s>Once')))).toBe(1)
    expect(begins(plain.read(messages('Once')))).toBe(1)
    const writing = await load(withTemplate('{{ bos_token }}{{ messages[0].content }}'))
    expect(begins(writing.read(messages('Once')))).toBe(1)
    expect(writing.read(messages('Once')).tokens[0]).toBe(1)
    expect(begins((await load(byteLevelReader())).read(text('hello')))).toBe(0)
  })

  it('renders conversations by the template, control tokens as such', async () => {
    const { loaded, read } = await load(
      byteLevelReader({
        chat_template:
          '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{{ "<|im_start|>assistant\n" }}',
      }),
    )
    const { tokens, text } = read(messages('hello'))
    expect(text).toBe('<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n')
    expect([tokens[0], tokens.filter((token) => token === 267).length]).toEqual([267, 2])
    expect(textOf(loaded.vocabulary, tokens)).toBe('user\nhello\nassistant\n')
  })

  it('leaves tools out where none may be called', async () => {
    const { read } = await load(withTemplate('{% if tools %}{{ tools[0].function.name }}{% endif %} x'))
    const prompt = { ...messages('hi'), tools: [{ name: 'weather' }] } as Prompt & { kind: 'messages' }
    expect(read(prompt).text).toBe('weather x')
    expect(read({ ...prompt, toolChoice: 'none' }).text).toBe(' x')
  })

  it('says whether the template has opened the reasoning', async () => {
    const closed = await load(withTemplate("{{ messages[0].content.split('</think>')[-1] }}"))
    expect(closed.read(messages('hi')).reasoning).toEqual({ open: '<think>', close: '</think>', opened: false })
    const opened = await load(withTemplate("{{ messages[0].content.split('</think>')[-1] }}<think>\n"))
    expect(opened.read(messages('hi')).reasoning?.opened).toBe(true)
    expect(closed.read(text('hi')).reasoning).toBeNull()
  })

  it('takes tokens as they are', async () => {
    const { read } = await load(storyReader)
    expect(read({ kind: 'tokens', tokens: [300, 301] }).tokens).toEqual([300, 301])
  })

  it('gives the text of a prompt of tokens, for echo', async () => {
    const { loaded, read } = await load(storyReader)
    const tokens = [1, ...loaded.encode('Once upon', { special: false })]
    expect(read({ kind: 'tokens', tokens }).text).toBe('Once upon')
  })

  it.each([[-1], [4096], [1.5], [Number.NaN]])('refuses %d as a token and names its place', async (token) => {
    const { read } = await load(storyReader)
    expect(() => read({ kind: 'tokens', tokens: [5, token] })).toThrow(
      expect.objectContaining({ status: 400, field: 'prompt[1]', message: expect.stringContaining('4095') }),
    )
  })

  it('starts an empty prompt with the begin token, whose answer starts its text', async () => {
    const { read } = await load(storyReader)
    for (const prompt of [text(''), messages(''), { kind: 'tokens', tokens: [] } as const])
      expect(read(prompt)).toMatchObject({ tokens: [1], stripLeadingSpace: true })
  })

  it('refuses an empty prompt where no token begins a text, and a conversation without messages', async () => {
    const { read } = await load(byteLevelReader())
    expect(() => read(text(''))).toThrow(expect.objectContaining({ status: 400, field: 'prompt' }))
    expect(() => read({ kind: 'tokens', tokens: [] })).toThrow(expect.objectContaining({ field: 'prompt' }))
    expect(() => read(messages())).toThrow(expect.objectContaining({ status: 400, field: 'messages' }))
  })

  it('refuses a prompt that leaves no room for an answer, long texts before they are encoded', async () => {
    const { read } = await load(storyReader, 8)
    expect(read({ kind: 'tokens', tokens: [1, 2, 3, 4, 5, 6, 7] }).tokens).toHaveLength(7)
    expect(() => read({ kind: 'tokens', tokens: [1, 2, 3, 4, 5, 6, 7, 8] })).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringMatching(/8 tokens.*context holds 8/) }),
    )
    expect(() => read(messages('one two three four five six seven eight nine ten'))).toThrow(
      expect.objectContaining({ field: 'messages' }),
    )
    expect(() => read(text('x'.repeat(100_000)))).toThrow(
      expect.objectContaining({ field: 'prompt', message: expect.stringContaining('100000 characters') }),
    )
  })
})
