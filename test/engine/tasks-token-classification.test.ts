import { beforeAll, describe, expect, it } from 'vitest'
import type { ServedModel } from '#contracts/served-model.ts'
import { type Entity, groupEntities, type LabelledToken } from '#src/engine/group-entities.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { tokenClassificationTask } from '#src/engine/tasks/token-classification.ts'
import { type OffsetsOptions, tokenSpans } from '#src/engine/token-offsets.ts'
import { loadTokenizer, type Tokenizer } from '#src/engine/tokenizer.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  memoryReader,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const model = 'fixture-bert-random-token_classification'

describe.skipIf(!haveSharedModels)(`token-classification (${withoutSharedModels})`, () => {
  let served: ServedModel
  let tokenizer: Tokenizer
  beforeAll(async () => {
    served = await loadModel(await bootNodeOrt(), tokenClassificationTask, {
      reader: sharedReader(model),
      graph: 'onnx/model.onnx',
      options: {},
    })
    tokenizer = await loadTokenizer(sharedReader(model))
  })
  const ask = async (text: string, params = {}) => {
    const { rows } = await served.invoke({
      inputs: { text: { dtype: 'string', shape: [1], strings: [text] } },
      params: { ...params },
    })
    return rows![0] as Entity[]
  }
  const spansOf = (text: string) => {
    const { tokens } = tokenizer.encode(text, undefined, 512)
    return tokenizer.spansOf(text, tokens).map(([start, end], at) => [tokens[at], text.slice(start, end)])
  }

  it('gives each token its expected label and score, with its place in the text', async () => {
    const { cases } = sharedJson(model, 'expected.json') as {
      cases: { text: string; tolerance: number; outputs: { logits: { data: number[] } } }[]
    }
    for (const { text, tolerance, outputs } of cases) {
      const entities = await ask(text)
      const { data } = outputs.logits
      expect(entities).toHaveLength(data.length / 2 - 2)
      for (const [at, { entity, score, index, word, start, end }] of entities.entries()) {
        expect(index).toBe(at + 1)
        const [good = 0, bad = 0] = data.slice(2 * index!, 2 * index! + 2)
        expect(entity).toBe(good >= bad ? 'good' : 'bad')
        expect(Math.abs(score - 1 / (1 + Math.exp(-Math.abs(good - bad))))).toBeLessThanOrEqual(tolerance)
        expect(text.slice(start, end).toLowerCase()).toBe(word)
      }
    }
  })

  it('leaves out the labels that are to be ignored', async () => {
    const all = await ask('Hello world, this is a test.')
    expect(await ask('Hello world, this is a test.', { ignore_labels: 'good' })).toEqual(
      all.filter(({ entity }) => entity !== 'good'),
    )
    expect(await ask('Hello world, this is a test.', { ignore_labels: 'good,bad' })).toEqual([])
    await expect(ask('Hello', { aggregation_strategy: 'most' })).rejects.toThrow(
      'aggregation_strategy: "most" is none of',
    )
  })

  it('groups neighbours of one label', async () => {
    const text = 'Hello world, this is a test.'
    const single = await ask(text)
    const groups = await ask(text, { aggregation_strategy: 'simple' })
    expect(groups.length).toBeLessThan(single.length)
    expect(groups.map(({ start, end }) => text.slice(start, end).toLowerCase().replace(/\s/g, '')).join('')).toBe(
      text.toLowerCase().replace(/\s/g, ''),
    )
  })

  it('gives the same in tensors, with the row of each entity', async () => {
    const strings = ['Hello', 'a test']
    const { outputs, rows } = await served.invoke({
      inputs: { text: { dtype: 'string', shape: [2], strings } },
      params: {},
    })
    const words = (rows as Entity[][]).flat().map(({ word }) => word)
    expect(outputs.word).toEqual({ dtype: 'string', shape: [3], strings: words })
    expect([...new Int32Array((outputs.row as { bytes: Uint8Array }).bytes.buffer)]).toEqual([0, 1, 1])
  })

  it('finds words with accents, capitals, signs and unknown characters in the text', () => {
    expect(spansOf('Zoë ate CRÈME brûlée!')).toEqual([
      ['zoe', 'Zoë'],
      ['ate', 'ate'],
      ['cr', 'CR'],
      ['##eme', 'ÈME'],
      ['br', 'br'],
      ['##ule', 'ûlé'],
      ['##e', 'e'],
      ['!', '!'],
    ])
    expect(spansOf('e\u0301tat  🙂 x 漢字').map(([, own]) => own)).toEqual(['e\u0301tat', '🙂', 'x', '漢', '字'])
    expect(spansOf('')).toEqual([])
  })
})

describe('token spans', () => {
  const plain: OffsetsOptions = {
    normalize: (text) => text,
    byteLevel: false,
    continuation: '',
    wordEnd: '',
    unknown: '<unk>',
  }
  const owns = (text: string, tokens: readonly string[], options: Partial<OffsetsOptions>) =>
    tokenSpans(text, tokens, { ...plain, ...options }).map(([start, end]) => text.slice(start, end))

  it('of byte-level tokens end with whole characters', () => {
    expect(owns('Où est Ada?', ['OÃ', '¹', 'Ġest', 'ĠA', 'da', '?'], { byteLevel: true })).toEqual([
      'Où',
      'ù',
      'est',
      'A',
      'da',
      '?',
    ])
  })

  it('of sentence pieces leave out the mark of the space', () => {
    expect(owns('New  York', ['▁New', '▁', '▁Yo', 'rk'], {})).toEqual(['New', '', 'Yo', 'rk'])
  })

  it('follow the marks at the end of words', () => {
    expect(owns('new york', ['new</w>', 'yo', 'rk</w>'], { wordEnd: '</w>' })).toEqual(['new', 'yo', 'rk'])
  })

  it('of unknown tokens are the words between known ones', () => {
    expect(owns('aa ☃☃ bb ☂ ☀ cc', ['aa', '<unk>', 'bb', '<unk>', '<unk>', 'cc'], {})).toEqual([
      'aa',
      '☃☃',
      'bb',
      '☂',
      '☀',
      'cc',
    ])
    expect(owns('xax a', ['<unk>', 'a'], {})).toEqual(['xax', 'a'])
    expect(owns('a ☃', ['a', '<unk>'], {})).toEqual(['a', '☃'])
  })

  it('of a hundred thousand unknown tokens take no longer than as many others', () => {
    const count = 100_000
    const words = owns('☃ a '.repeat(count), Array(count).fill(['<unk>', 'a']).flat(), {})
    expect([words.length, words.at(-2), words.at(-1)]).toEqual([2 * count, '☃', 'a'])
    const pieces = owns('ᚠa'.repeat(count), Array(count).fill(['<unk>', 'a']).flat(), {})
    expect([pieces.length, pieces.at(-2), pieces.at(-1)]).toEqual([2 * count, 'ᚠ', 'a'])
  })
})

describe('grouping of entities', () => {
  const labels = ['O', 'B-PER', 'I-PER', 'B-LOC']
  const token = (word: string, label: string, score: number, isSubword = false): LabelledToken => {
    const scores = new Float32Array(4).fill((1 - score) / 3)
    scores[labels.indexOf(label)] = score
    return { word, scores, start: 0, end: 0, index: 0, isSubword }
  }
  const textOf = (tokens: readonly string[]) => tokens.join(' ').replaceAll(' ##', '')
  const group = (strategy: 'simple' | 'first' | 'average' | 'max', tokens: LabelledToken[]) =>
    groupEntities(tokens, { strategy, labels, textOf }).map(({ entity_group, word, score }) => [
      entity_group,
      word,
      Number(score.toFixed(3)),
    ])
  const name = [
    token('Ada', 'B-PER', 0.9),
    token('Love', 'I-PER', 0.7),
    token('##lace', 'B-LOC', 0.8, true),
    token('Bob', 'B-PER', 0.6),
    token('ate', 'O', 0.9),
  ]

  it('simple splits a word whose parts have different labels', () => {
    expect(group('simple', name)).toEqual([
      ['PER', 'Ada Love', 0.8],
      ['LOC', '##lace', 0.8],
      ['PER', 'Bob', 0.6],
      ['O', 'ate', 0.9],
    ])
  })

  it('first, max and average give a word one label', () => {
    expect(group('first', name)[0]).toEqual(['PER', 'Ada Lovelace', 0.8])
    expect(group('max', name).slice(0, 2)).toEqual([
      ['PER', 'Ada', 0.9],
      ['LOC', 'Lovelace', 0.8],
    ])
    expect(group('average', name)[1]).toEqual(['LOC', 'Lovelace', 0.45])
  })
})

it('a byte-level tokenizer is recognised by its files', async () => {
  const vocab = { '<unk>': 0, a: 1, Ġ: 2, b: 3, Ġb: 4 }
  const tokenizer = await loadTokenizer(
    memoryReader({
      'tokenizer.json': JSON.stringify({
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
        post_processor: null,
        decoder: { type: 'ByteLevel' },
        model: { type: 'BPE', vocab, merges: ['Ġ b'], unk_token: '<unk>' },
      }),
    }),
  )
  const { tokens } = tokenizer.encode('a b', undefined, 9)
  expect(tokens).toEqual(['a', 'Ġb'])
  expect(tokenizer.spansOf('a b', tokens)).toEqual([
    [0, 1],
    [2, 3],
  ])
  expect(tokenizer.textOf(tokens)).toBe('a b')
})
