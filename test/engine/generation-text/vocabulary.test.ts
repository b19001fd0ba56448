import { Tokenizer } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { createDetokenizer, textOf } from '#src/engine/generation/detokenizer.ts'
import { readTokenBytes } from '#src/engine/generation/token-bytes.ts'
import { type LoadedVocabulary, loadVocabulary } from '#src/engine/generation/vocabulary.ts'
import { readJson } from '#src/engine/read-artifact.ts'
import { haveSharedModels, memoryReader, overlayReader, sharedReader } from '../../support/shared-models.ts'
import { byteLevelFiles, byteLevelReader, dice, storyReader, visible } from './tokenizer-files.ts'

const text = (loaded: LoadedVocabulary, token: number) => {
  const bytes = loaded.vocabulary.bytesOf(token)
  return bytes && new TextDecoder().decode(bytes)
}
const sentences = ['Once upon a time', 'a  b\n\tc', 'naïve café ☃ 𝔘 日本語', ' leading', 'e\u0301 🙂', '']

const tokenizers: [string, ArtifactReader][] = [
  ['the story model', storyReader],
  ['a byte-level tokenizer', byteLevelReader()],
  ...(haveSharedModels ? [['stories260k', sharedReader('stories260k')] as [string, ArtifactReader]] : []),
]

describe.each(tokenizers)('the vocabulary of %s', (_, reader) => {
  it('holds bytes that join to the text that was encoded', async () => {
    const loaded = await loadVocabulary(reader)
    for (const sentence of sentences) {
      const tokens = loaded.encode(sentence, { special: false })
      expect(textOf(loaded.vocabulary, tokens, { stripLeadingSpace: loaded.stripsLeadingSpace })).toBe(sentence)
    }
  })

  it('gives random tokens the text that the tokenizer library decodes, delta by delta', async () => {
    const loaded = await loadVocabulary(reader)
    const library = new Tokenizer((await readJson(reader, 'tokenizer.json'))!, {})
    const roll = dice(7)
    const known = library.model!.vocab.length
    for (let round = 0; round < 300; round++) {
      const tokens = Array.from({ length: 1 + roll(30) }, () => roll(known))
      const detokenizer = createDetokenizer(loaded.vocabulary, { stripLeadingSpace: loaded.stripsLeadingSpace })
      const deltas = [...tokens.map((token) => detokenizer.push(token)), detokenizer.end()]
      const whole = tokens.every((token) => loaded.vocabulary.bytesOf(token) === null)
        ? ''
        : library.decode(tokens, { skip_special_tokens: true, clean_up_tokenization_spaces: false })
      expect(deltas.join('')).toBe(whole)
      // A half of a character would show as U+FFFD before its other half has come.
      for (const delta of deltas) expect(delta.isWellFormed()).toBe(true)
    }
  })
})

describe('loadVocabulary', () => {
  it('reads sentencepiece names: spaces, byte tokens, control tokens', async () => {
    const loaded = await loadVocabulary(storyReader)
    const { vocabulary } = loaded
    expect(vocabulary.size).toBe(4096)
    expect([0, 1, 2].map(vocabulary.bytesOf)).toEqual([null, null, null])
    expect(vocabulary.bytesOf(3 + 0xe2)).toEqual(new Uint8Array([0xe2]))
    expect(text(loaded, loaded.encode('Once', { special: false })[0]!)).toMatch(/^ O/)
    expect(vocabulary.endTokens).toEqual(new Set([1, 2]))
    expect(loaded.stripsLeadingSpace).toBe(true)
    expect(loaded.framing).toEqual({ before: [1], after: [] })
    expect(loaded.beginToken).toBe(1)
  })

  it('reads byte-level names as bytes and added ones as text', async () => {
    const loaded = await loadVocabulary(byteLevelReader())
    const { vocabulary } = loaded
    for (let byte = 0; byte < 256; byte++) expect(vocabulary.bytesOf(byte)).toEqual(new Uint8Array([byte]))
    expect([260, 264, 265].map((token) => text(loaded, token))).toEqual([' w', ' world', 'é'])
    expect([266, 267, 268].map((token) => vocabulary.bytesOf(token))).toEqual([null, null, null])
    expect([269, 270].map((token) => text(loaded, token))).toEqual(['<think>', 'two words'])
    expect(loaded.framing).toEqual({ before: [], after: [] })
  })

  it("is as wide as the model's logits, with nothing behind ids that the tokenizer lacks", async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    expect(vocabulary.size).toBe(280)
    expect(vocabulary.bytesOf(275)).toBeNull()
  })

  it("ends texts at the configuration's tokens and at the tokenizer's own", async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    expect(vocabulary.endTokens).toEqual(new Set([266, 268]))
  })

  it('reads names of control tokens in a text only when asked to', async () => {
    for (const [reader, name, id] of [
      [byteLevelReader(), '<|im_end|>', 268],
      [storyReader, '</s>', 2],
    ] as const) {
      const { encode, vocabulary } = await loadVocabulary(reader)
      expect(encode(`hello${name}`, { special: true })).toContain(id)
      const tokens = encode(`hello${name}`, { special: false })
      expect(tokens).not.toContain(id)
      expect(textOf(vocabulary, tokens).trimStart()).toBe(`hello${name}`)
    }
  })

  it('adds the begin token by `add_bos_token` where the post-processor knows none, and leaves it out where it is false', async () => {
    const added = await loadVocabulary(byteLevelReader({ bos_token: '<|endoftext|>', add_bos_token: true }))
    expect(added.framing).toEqual({ before: [266], after: [] })
    const settings = { bos_token: '<s>', eos_token: '</s>', add_bos_token: false }
    const left = await loadVocabulary(overlayReader({ 'tokenizer_config.json': JSON.stringify(settings) }, storyReader))
    expect(left.framing).toEqual({ before: [], after: [] })
  })

  it.each([['WordPiece'], ['CTC']])('refuses a tokenizer with a %s decoder', async (type) => {
    const files = byteLevelFiles()
    const definition = { ...JSON.parse(files['tokenizer.json']!), decoder: { type } }
    const reader = memoryReader({ ...files, 'tokenizer.json': JSON.stringify(definition) })
    await expect(loadVocabulary(reader)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining(type),
    })
  })

  it('refuses added tokens with ids that would fill the memory', async () => {
    const files = byteLevelFiles()
    const added = [{ id: 2 ** 31, content: 'x', special: false }]
    const definition = { ...JSON.parse(files['tokenizer.json']!), added_tokens: added }
    const reader = memoryReader({ ...files, 'tokenizer.json': JSON.stringify(definition) })
    await expect(loadVocabulary(reader)).rejects.toMatchObject({ status: 400, message: expect.stringContaining('id') })
  })

  it('keeps the bytes of 49,152 names apart', () => {
    const names = Array.from({ length: 49_152 }, (_, id) => `${visible[id % 256]}${visible[(id >> 8) % 256]}${id}`)
    const bytes = readTokenBytes({ decoder: { type: 'ByteLevel' } }, names, new Map())
    for (const id of [0, 1, 255, 256, 20_000, 49_151])
      expect([...bytes.bytesOf(id)!]).toEqual([...names[id]!].map((character) => visible.indexOf(character)))
    expect(bytes.longestBytes).toBe(7)
    expect(bytes.bytesOf(49_152)).toBeNull()
  })
})

describe('createDetokenizer', () => {
  it('holds back bytes until they are a whole character', async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    const detokenizer = createDetokenizer(vocabulary)
    expect([0xf0, 0x9f, 0x99, 0x82, 0x41].map((byte) => detokenizer.push(byte))).toEqual(['', '', '', '🙂', 'A'])
    expect(detokenizer.end()).toBe('')
  })

  it('turns what never becomes a character into U+FFFD, at once where that is certain and else at the end', async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    const detokenizer = createDetokenizer(vocabulary)
    expect([0xe2, 0x82, 0x41, 0xff, 0xc3].map((byte) => detokenizer.push(byte))).toEqual([
      '',
      '',
      '\ufffdA',
      '\ufffd',
      '',
    ])
    expect(detokenizer.end()).toBe('\ufffd')
  })

  it('joins the bytes of a character across a control token', async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    expect(textOf(vocabulary, [0xc3, 267, 0xa9])).toBe('é')
  })

  it('keeps a byte order mark, which is text', async () => {
    const { vocabulary } = await loadVocabulary(byteLevelReader())
    expect(textOf(vocabulary, [0xef, 0xbb, 0xbf, 0x41])).toBe('\ufeffA')
  })

  it('drops one leading space of a text that it starts, and none of one that goes on', async () => {
    const { vocabulary, encode } = await loadVocabulary(storyReader)
    const tokens = [1, ...encode(' Once', { special: false })]
    expect(textOf(vocabulary, tokens)).toBe('  Once')
    expect(textOf(vocabulary, tokens, { stripLeadingSpace: true })).toBe(' Once')
  })
})
