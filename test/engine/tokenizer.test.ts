import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { describe, expect, it } from 'vitest'
import { libraryModel } from '#src/engine/library-tokens.ts'
import type { JsonObject } from '#src/engine/read-artifact.ts'
import { loadTokenizer } from '#src/engine/tokenizer.ts'
import { scanDefinition } from '#src/engine/wordpiece/scan-vocabulary.ts'
import { wordPieceModel } from '#src/engine/wordpiece/wordpiece.ts'
import { expectEqual } from '../support/expect-equal.ts'
import { haveSharedModels, memoryReader, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'

const encoder = new TextEncoder()
const read = (path: string) => new Uint8Array(readFileSync(path))
const starterPath = (name: string) => fileURLToPath(new URL(`../../models/${name}/tokenizer.json`, import.meta.url))

/** A generator of small numbers that are the same in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** What is odd about text, in pieces that are put together at random. */
const oddities = [
  ...['the', 'Hello', 'WORLD', 'don’t', "isn't", 'naïve', 'ÉCOLE', 'straße', 'İstanbul', 'ΣΊΣΥΦΟΣ', 'ﬁne', 'Ǆ', 'x\u0301\u0302', 'e\u0301'],
  ...['日本語', '中文字', 'ひらがな', '한국어', '\u1112\u1161\u11ab', '㐀', '豈', '𠀀', '𪚥', '𝔘𝔫𝔦', '👍🏽', '👩‍👩‍👧', '🇩🇪', '\u{e0001}', '\u{10ffff}', '\u{1F600}'],
  ...['\0', '\u0001', '\u007f', '\u0085', '\u00a0', '\u00ad', '\u200b', '\u200d', '\u2028', '\u202e', '\u3000', '\ufeff', '\ufffd', '\ud800', '\udc00'],
  ...['\t', '\n', '\r\n', '\v', '\f', ' ', '  ', '.', '...', '!?', '-', '—', '«', '¡', '$', '€', '+', '`', '^', '~', '|', '_', '#', '##', '##ing', '\\', '"'],
  ...['[CLS]', '[SEP]', '[PAD]', '[MASK]', '[UNK]', '[cls]', '[MASK', 'MASK]', '[ MASK ]', '<s>', 'added', 'ADDED', 'two words', 'Two Words'],
  ...['0', '12', '3.14', '1,000', '٣', 'Ⅷ', 'a', 'b', 'z', 'q', 'aa', 'ab', 'ing', 'un', 'affable', 'tokenization', 'ا', 'בָּ', 'नमस्ते', 'ไทย'],
] // biome-ignore format: a list of oddities

function oddTexts(count: number, seed: number): string[] {
  const below = seeded(seed)
  return Array.from({ length: count }, () => {
    const length = below(4) === 0 ? below(60) : below(12)
    const glue = ['', ' ', ''][below(3)]!
    return Array.from({ length }, () =>
      below(40) === 0 ? oddities[below(oddities.length)]!.repeat(1 + below(120)) : oddities[below(oddities.length)]!,
    ).join(glue)
  })
}

async function bothOf(bytes: Uint8Array, config: JsonObject = {}) {
  const scanned = scanDefinition(bytes)
  const own = scanned && wordPieceModel(scanned, config)
  const definition = JSON.parse(new TextDecoder().decode(bytes)) as JsonObject
  return { own, library: await libraryModel(definition, config), definition }
}

/** Every answer of ours is the library's. */
async function expectSameAnswers(bytes: Uint8Array, texts: readonly string[], config: JsonObject = {}): Promise<void> {
  const { own, library, definition } = await bothOf(bytes, config)
  if (!own) throw new Error('this tokenizer was left to the library')
  expect([own.specialTokens, own.unknownToken, own.vocabularySize]).toEqual([
    library.specialTokens,
    library.unknownToken,
    library.vocabularySize,
  ])
  for (const [at, text] of texts.entries()) {
    const [mine, theirs] = [own.tokenize(text), library.tokenize(text)]
    const words = mine.map((token) => own.textOf(token))
    if (JSON.stringify(words) !== JSON.stringify(theirs)) expect({ text, words }).toEqual({ text, words: theirs })
    const pair = at % 3 === 0 ? null : texts[(at * 7) % texts.length]!
    const [second, theirSecond] = pair === null ? [null, null] : [own.tokenize(pair), library.tokenize(pair)]
    expectEqual(
      [own.compose(mine, second), own.decode(words), own.normalize(text), theirs.map((word) => own.idOf(word))],
      [
        library.compose(theirs, theirSecond),
        library.decode(theirs),
        library.normalize(text),
        theirs.map((word) => library.idOf(word)),
      ],
    )
  }
  const vocabulary = Object.keys((definition.model as { vocab: Record<string, number> }).vocab)
  const wrong = vocabulary.filter((word) => own.idOf(word) !== library.idOf(word))
  expect(wrong).toEqual([])
  expect(oddities.filter((word) => own.idOf(word) !== library.idOf(word))).toEqual([])
}

const words = ['[UNK]', '[CLS]', '[SEP]', 'a', 'b', '##a', '##b', 'ab', '##ab', '##ing', 'un', '##aff', '##able', '日', '##本', 'é', '##\u0301', '👍', '"', '\\', '##"', 'ﬁ', 'i', '##i\u0307', 'the', '.', '-', '$', 'ADDED', 'τ', '__proto__', 'constructor', '12', '3'] // biome-ignore format: a list
const special = (id: string, type_id = 0) => ({ SpecialToken: { id, type_id } })
const text = (id: string, type_id = 0) => ({ Sequence: { id, type_id } })

function smallTokenizer(changes: Record<string, unknown> = {}, model: Record<string, unknown> = {}): JsonObject {
  return {
    added_tokens: [
      { id: 0, content: '[UNK]', special: true },
      { id: 1, content: '[CLS]', special: true, normalized: false },
      { id: 2, content: '[SEP]', special: true, normalized: false },
      { id: 70, content: 'added', lstrip: true, rstrip: true, normalized: true },
      { id: 71, content: 'Two Words', rstrip: true, special: false },
      { id: 72, content: '##x+y', special: true, lstrip: true },
    ],
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [special('[CLS]'), text('A'), special('[SEP]')],
      pair: [special('[CLS]'), text('B', 1), special('[SEP]', 1), text('A'), special('[none]', 3)],
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 12,
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      ...model,
    },
    ...changes,
  } // biome-ignore format: as in a file
}

const fileOf = (value: unknown, space?: number) => encoder.encode(JSON.stringify(value, null, space))

describe('a WordPiece tokenizer of ours answers like the library', () => {
  it('where a word begins with a byte order mark', async () => {
    const vocab = Object.fromEntries([...words, '\ufeffab'].map((word, id) => [word, id]))
    const file = smallTokenizer({ normalizer: null, pre_tokenizer: null }, { vocab })
    await expectSameAnswers(fileOf(file), ['\ufeffab', 'ab', 'a\ufeffab'])
  })

  it.each(['embed', 'intent'])('with the starter model %s, over odd texts', async (name) => {
    await expectSameAnswers(read(starterPath(name)), oddTexts(1_500, 1))
  })

  it.skipIf(!haveSharedModels)(`with a real BERT vocabulary, over odd texts (${withoutSharedModels})`, async () => {
    const path = sharedModelPath('fixture-bert-random-sentence_embedding', 'tokenizer.json')
    await expectSameAnswers(read(path), oddTexts(2_500, 2))
  })

  const bert = { type: 'BertNormalizer' }
  it.each([
    ['as it is', {}, {}],
    ['lower case only', { normalizer: { type: 'Lowercase' }, pre_tokenizer: { type: 'WhitespaceSplit' } }, {}],
    ['nothing normalised or split', { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }, {}],
    ['no cleaning', { normalizer: { ...bert, lowercase: true, strip_accents: false } }, {}],
    ['accents off, case kept', { normalizer: { ...bert, strip_accents: true, clean_text: true } }, {}],
    ['Chinese in words', { normalizer: { ...bert, handle_chinese_chars: false, lowercase: true } }, {}],
    ['a sequence of normalizers', { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, null, { type: 'StripAccents' }, { type: 'Lowercase' }] }, pre_tokenizer: { type: 'Whitespace' } }, {}],
    ['BertProcessing', { post_processor: { type: 'BertProcessing', cls: ['[CLS]', 1], sep: ['[SEP]', 2] } }, {}],
    ['another prefix', { decoder: { type: 'WordPiece', prefix: '@', cleanup: false } }, { continuing_subword_prefix: '' }],
    ['an unknown token that no vocabulary has', {}, { unk_token: '<unknown>' }],
    ['the default of 100 characters', {}, { max_input_chars_per_word: undefined }],
    ['no words', {}, { vocab: {} }],
    ['ids with gaps and ids of two words', {}, { vocab: { '[UNK]': 9, a: 9, b: 500, '##a': 3, the: 0 } }],
  ])('with %s', async (_, changes, model) => {
    const definition = smallTokenizer(changes, model)
    await expectSameAnswers(fileOf(definition), oddTexts(500, 3))
    // How the file is laid out shows in its words and ids alone.
    await expectSameAnswers(fileOf(definition, 2), oddTexts(50, 5))
  }) // biome-ignore format: a table

  it('with a vocabulary written in escapes', async () => {
    const plain = JSON.stringify(smallTokenizer())
    const escaped = plain.replace(/[^ -~]|un|##/g, (found) =>
      Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
        '',
      ),
    )
    expect(escaped).not.toBe(plain)
    await expectSameAnswers(encoder.encode(escaped), oddTexts(600, 5))
  })

  it('with another "vocab" after the model', async () => {
    const definition = { ...smallTokenizer(), zoo: { vocab: { a: 1 } } }
    await expectSameAnswers(fileOf(definition), oddTexts(50, 6))
  })
})

describe('what is not recognised is left to the library', () => {
  const plain = JSON.stringify(smallTokenizer())
  it.each([
    ['a word that comes twice', plain.replace('"b":4', '"b":4,"b":44')],
    ['an id that is no whole number', plain.replace('"b":4', '"b":4.5')],
    ['a negative id', plain.replace('"b":4', '"b":-4')],
    ['an id beyond bounds', plain.replace('"b":4', '"b":4000000000')],
    ['half a character', plain.replace('"b":4', '"\\ud800":4')],
    ['another "vocab" before the model', JSON.stringify({ zoo: { vocab: { a: 1 } }, ...smallTokenizer() })],
    ['another "vocab" of the model', plain.replace('"vocab":', '"vocab":{"a":1},"vocab":')],
    ['another kind of model', JSON.stringify(smallTokenizer({}, { type: 'BPE', merges: [] }))],
    ['another normalizer', JSON.stringify(smallTokenizer({ normalizer: { type: 'Prepend', prepend: '_' } }))],
    ['another pre-tokenizer', JSON.stringify(smallTokenizer({ pre_tokenizer: { type: 'Punctuation' } }))],
    ['another decoder', JSON.stringify(smallTokenizer({ decoder: { type: 'ByteLevel' } }))],
    ['a text twice in a template', JSON.stringify(smallTokenizer({ post_processor: { type: 'TemplateProcessing', single: [text('A'), text('A')], pair: [] } }))],
  ])('%s', async (_, json) => {
    const { own, library } = await bothOf(encoder.encode(json))
    expect(own).toBeUndefined()
    const tokenizer = await loadTokenizer(memoryReader({ 'tokenizer.json': json }))
    expect(tokenizer.encode('a un', undefined, 100).ids).toEqual(library.compose(library.tokenize('a un'), null).ids)
  }) // biome-ignore format: a table

  it('a setting of the configuration that changes the text', async () => {
    for (const config of [{ remove_space: true }, { do_lowercase_and_remove_accent: true }])
      expect((await bothOf(fileOf(smallTokenizer()), config)).own).toBeUndefined()
  })

  it('names a file that no tokenizer can be made of', async () => {
    const load = (json: string | Uint8Array) => loadTokenizer(memoryReader({ 'tokenizer.json': json }))
    await expect(load(plain.slice(0, -40))).rejects.toThrow('"tokenizer.json" is not valid JSON')
    await expect(load(plain.replace('"b":4', '"b":4,'))).rejects.toThrow('"tokenizer.json" is not valid JSON')
    await expect(load(plain.replace('"decoder"', '"decodes"'))).rejects.toThrow('is no tokenizer')
    const torn = encoder.encode(plain)
    torn[plain.indexOf('"un"') + 1] = 0xff
    await expect(load(torn)).rejects.toThrow('"tokenizer.json" is not valid UTF-8')
  })

  it('words that were made to share their hashes', async () => {
    const shared = collidingWords(700)
    const definition = smallTokenizer(
      {},
      { vocab: Object.fromEntries(['[UNK]', ...shared].map((word, id) => [word, id])) },
    )
    const { own, library } = await bothOf(fileOf(definition))
    expect(own).toBeUndefined()
    expect(library.idOf(shared[7]!)).toBe(8)
  })
})

/** Words whose places in a table of 2,048 are next to each other. */
function collidingWords(count: number): string[] {
  const found: string[] = []
  for (let number = 0; found.length < count; number++) {
    const word = number.toString(36)
    let hash = 0x811c9dc5 | 0
    for (const byte of encoder.encode(word)) hash = Math.imul(hash ^ byte, 0x01000193)
    if (((hash ^ (hash >>> 15)) & 2_047) < 32) found.push(word)
  }
  return found
}

describe('encoding', () => {
  it('cuts texts and pairs on either side, and gives back what was cut', async () => {
    const json = JSON.stringify(smallTokenizer())
    for (const truncation_side of ['left', 'right']) {
      const reader = memoryReader({
        'tokenizer.json': json,
        'tokenizer_config.json': JSON.stringify({ truncation_side }),
      })
      const tokenizer = await loadTokenizer(reader)
      const alone = tokenizer.encode('a b ab the a', undefined, 5)
      expect(alone.ids).toEqual(truncation_side === 'left' ? [1, 7, 24, 3, 2] : [1, 3, 4, 7, 2])
      expect([...alone.tokens]).toEqual(['a', 'b', 'ab', 'the', 'a'])
      expect([alone.firstKept, alone.text]).toEqual([truncation_side === 'left' ? 2 : 0, [1, 4]])
      const pair = tokenizer.encode('a b ab the a', 'b b', 7)
      expect(pair.ids).toHaveLength(7)
      expect(pair.typeIds).toEqual([0, 1, 1, 1, 0, 0, 3])
    }
  })

  it('reads every starter model', async () => {
    for (const name of readdirSync(fileURLToPath(new URL('../../models', import.meta.url)))) {
      const path = starterPath(name)
      const json = await Promise.resolve(path)
        .then(read)
        .catch(() => null)
      if (!json) continue
      const definition = JSON.parse(new TextDecoder().decode(json)) as JsonObject
      const library = new Library(definition, {})
      const tokenizer = await loadTokenizer(memoryReader({ 'tokenizer.json': json }))
      expect(tokenizer.encode('A good day, 日本!', undefined, 512).ids).toEqual(library.encode('A good day, 日本!').ids)
    }
  })
})
