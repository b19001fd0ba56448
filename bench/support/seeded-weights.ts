/** Weights that are the same on every machine, and words for a vocabulary of any size: what the models of benchmarks are made of. */

import { quantizeModel } from '#src/compiler/convert/quantize.ts'
import type { OnnxModel } from '#src/compiler/onnx/model.ts'

export interface ModelFile {
  path: string
  bytes: Uint8Array
}

/** Numbers of a small generator, evenly spread with the given standard deviation. */
export class SeededWeights {
  #state: number

  constructor(seed: number) {
    this.#state = (seed + 1) * 0x9e3779b1 || 1
  }

  floats(length: number, deviation = 0.02): Float32Array {
    const values = new Float32Array(length)
    const factor = (2 * Math.sqrt(3) * deviation) / 2 ** 32
    let state = this.#state
    for (let at = 0; at < length; at++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      values[at] = ((state >>> 0) - 2 ** 31) * factor
    }
    this.#state = state
    return values
  }
}

export const specialTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const

/** The word of a token id past the special ones: four letters, none a part of another. */
export function wordOf(id: number): string {
  const letter = (place: number) => String.fromCharCode(97 + (Math.floor(id / 26 ** place) % 26))
  return [3, 2, 1, 0].map(letter).join('')
}

/** A text of exactly so many words, each one token. */
export function textOf(words: number, seed: number, vocabulary: number): string {
  return Array.from({ length: words }, (_, at) => {
    const free = vocabulary - specialTokens.length
    return wordOf(specialTokens.length + ((seed * 7_919 + at * 104_729 + at * at * 31) % free))
  }).join(' ')
}

export interface TokenizerShape {
  vocabulary: number
  maxTokens: number
  /** `[CLS] … [SEP]` around every text. */
  hasFrame: boolean
}

/** `tokenizer.json` and its configuration, which transformers.js and glim both read. */
export function tokenizerFiles({ vocabulary, maxTokens, hasFrame }: TokenizerShape): ModelFile[] {
  const words = Array.from({ length: vocabulary }, (_, id) => specialTokens[id] ?? wordOf(id))
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } })
  const sequence = { Sequence: { id: 'A', type_id: 0 } }
  const second = { Sequence: { id: 'B', type_id: 1 } }
  const idOf = (token: string) => ({ id: token, ids: [words.indexOf(token)], tokens: [token] })
  const frame = {
    type: 'TemplateProcessing',
    single: [special('[CLS]'), sequence, special('[SEP]')],
    pair: [special('[CLS]'), sequence, special('[SEP]'), second, special('[SEP]')],
    special_tokens: { '[CLS]': idOf('[CLS]'), '[SEP]': idOf('[SEP]') },
  }
  return [
    json('tokenizer.json', {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: specialTokens.map((content, id) => ({
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      })),
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: hasFrame ? frame : null,
      decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      },
    }),
    json('tokenizer_config.json', {
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: maxTokens,
      pad_token: '[PAD]',
      unk_token: '[UNK]',
      cls_token: '[CLS]',
      sep_token: '[SEP]',
      mask_token: '[MASK]',
      ...(hasFrame ? {} : { bos_token: '[CLS]', eos_token: '[SEP]' }),
      clean_up_tokenization_spaces: false,
    }),
  ]
}

export function json(path: string, value: unknown): ModelFile {
  return { path, bytes: new TextEncoder().encode(JSON.stringify(value)) }
}

/** The model with int8 weights, by glim's own conversion. */
export function int8(model: OnnxModel): OnnxModel {
  const quantized = quantizeModel(model)
  if (typeof quantized === 'string') throw new Error(`The model of the benchmark cannot be quantised: ${quantized}`)
  return quantized.model
}
