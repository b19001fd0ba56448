/** Tokenizers and chance for the tests of this folder. */
import { fileURLToPath } from 'node:url'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { createRandomNumbers } from '#src/engine/generation/random.ts'
import { folderReader, memoryReader } from '../../support/shared-models.ts'

/** The tokenizer that ships with the story model: sentencepiece-style, 4,096 tokens. */
export const storyReader = folderReader(fileURLToPath(new URL('../../../models/story', import.meta.url)))

/** GPT-2's visible character for each byte. */
export const visible: readonly string[] = (() => {
  const isVisible = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++))
})()

/** A byte-level tokenizer: all bytes, a few merges, ChatML's control tokens, and two added tokens that are text. */
export function byteLevelFiles(settings: object = {}): Record<string, string> {
  const merges = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'o r', 'Ġw or', 'l d', 'Ġwor ld', 'Ã ©']
  const names = [...visible, ...merges.map((merge) => merge.replace(' ', ''))]
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
  const added = [...special, '<think>', 'two words'].map((content, index) => ({
    id: names.length + index,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: special.includes(content),
  }))
  return {
    'tokenizer.json': JSON.stringify({
      version: '1.0',
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: { type: 'BPE', vocab: Object.fromEntries(names.map((name, id) => [name, id])), merges },
    }),
    'tokenizer_config.json': JSON.stringify({ eos_token: '<|im_end|>', ...settings }),
    'config.json': JSON.stringify({ eos_token_id: names.length, max_position_embeddings: 256, vocab_size: 280 }),
  }
}

export const byteLevelReader = (settings: object = {}): ArtifactReader => memoryReader(byteLevelFiles(settings))

/** Whole numbers below a bound, the same ones each time. */
export function dice(seed: number): (bound: number) => number {
  const random = createRandomNumbers(seed, 0)
  return (bound) => Math.floor(random.next() * bound)
}
