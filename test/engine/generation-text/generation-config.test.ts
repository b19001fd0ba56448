import { describe, expect, it } from 'vitest'
import type { Sampling } from '#contracts/generation.ts'
import { readGenerationConfig } from '#src/engine/generation/generation-config.ts'
import { resolveSampling } from '#src/engine/generation/sampling.ts'
import { memoryReader } from '../../support/shared-models.ts'
import { storyReader } from './tokenizer-files.ts'

const configOf = (files: Record<string, object>) =>
  readGenerationConfig(
    memoryReader(
      Object.fromEntries(Object.entries(files).map(([name, value]) => [`${name}.json`, JSON.stringify(value)])),
    ),
  )

const open: Sampling = {
  temperature: null,
  topK: null,
  topP: null,
  minP: null,
  repetitionPenalty: null,
  presencePenalty: null,
  frequencyPenalty: null,
  logitBias: {},
  seed: null,
}
const defaults = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, repetitionPenalty: 1.1 }

describe('readGenerationConfig', () => {
  it('reads the story model', async () => {
    expect(await readGenerationConfig(storyReader)).toEqual({
      endTokens: [1, 2],
      endTokenText: '</s>',
      beginTokenText: '<s>',
      addsBeginToken: true,
      contextLength: 512,
      vocabularySize: 4096,
      sampling: { temperature: 0.8, topK: 0, topP: 0.95, minP: 0, repetitionPenalty: 1 },
    })
  })

  it('is neutral where a model says nothing', async () => {
    expect(await configOf({})).toEqual({
      endTokens: [],
      endTokenText: null,
      beginTokenText: null,
      addsBeginToken: null,
      contextLength: null,
      vocabularySize: null,
      sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 },
    })
  })

  it('takes end tokens as one or many, and those of config.json only where the generation file has none', async () => {
    const config = { eos_token_id: 5 }
    expect((await configOf({ config })).endTokens).toEqual([5])
    expect((await configOf({ config, generation_config: { eos_token_id: 7 } })).endTokens).toEqual([7])
    expect((await configOf({ config, generation_config: { eos_token_id: [7, 8] } })).endTokens).toEqual([7, 8])
    expect((await configOf({ config, generation_config: { eos_token_id: null } })).endTokens).toEqual([5])
  })

  it('finds the context under the names of several families, and knows "no limit"', async () => {
    const lengthOf = async (config: object, tokenizer_config = {}) =>
      (await configOf({ config, tokenizer_config })).contextLength
    expect(await lengthOf({ n_positions: 1024 })).toBe(1024)
    expect(await lengthOf({ max_position_embeddings: 2048 }, { model_max_length: 131_072 })).toBe(2048)
    expect(await lengthOf({ text_config: { max_position_embeddings: 4096 } })).toBe(4096)
    expect(await lengthOf({}, { model_max_length: 777 })).toBe(777)
    expect(await lengthOf({}, { model_max_length: 1e30 })).toBeNull()
  })

  it('means the likeliest token by do_sample: false', async () => {
    const temperatureOf = async (generation_config: object) =>
      (await configOf({ generation_config })).sampling.temperature
    expect(await temperatureOf({ do_sample: false, temperature: 0.6 })).toBe(0)
    expect(await temperatureOf({ temperature: 0.6 })).toBe(0.6)
    expect(await temperatureOf({ do_sample: true })).toBe(1)
    expect(await temperatureOf({ do_sample: true, temperature: 'hot' })).toBe(1)
  })
})

describe('resolveSampling', () => {
  it("fills what is open from the model's defaults and draws a seed", () => {
    const { seed, ...others } = resolveSampling(open, defaults, 100)
    expect(others).toEqual({ ...defaults, presencePenalty: 0, frequencyPenalty: 0, logitBias: [] })
    expect(Number.isSafeInteger(seed)).toBe(true)
  })

  it('lets the request lead, zeros included', () => {
    const asked: Sampling = {
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: -2,
      frequencyPenalty: 2,
      logitBias: { '7': -100, '99': 3.5 },
      seed: 0,
    }
    expect(resolveSampling(asked, defaults, 100)).toEqual({
      ...asked,
      logitBias: [
        [7, -100],
        [99, 3.5],
      ],
    })
  })

  const refused: [Partial<Sampling>, string][] = [
    [{ temperature: 2.01 }, 'temperature'],
    [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: Number.NaN }, 'temperature'],
    [{ topK: -1 }, 'top_k'],
    [{ topK: 1.5 }, 'top_k'],
    [{ topP: 0 }, 'top_p'],
    [{ topP: 1.1 }, 'top_p'],
    [{ minP: -0.1 }, 'min_p'],
    [{ minP: 1.1 }, 'min_p'],
    [{ repetitionPenalty: 0 }, 'repetition_penalty'],
    [{ repetitionPenalty: Infinity }, 'repetition_penalty'],
    [{ presencePenalty: 2.5 }, 'presence_penalty'],
    [{ frequencyPenalty: -2.5 }, 'frequency_penalty'],
    [{ seed: 0.5 }, 'seed'],
    [{ seed: 2 ** 60 }, 'seed'],
    [{ logitBias: { '100': 1 } }, 'logit_bias'],
    [{ logitBias: { '-1': 1 } }, 'logit_bias'],
    [{ logitBias: { a: 1 } }, 'logit_bias'],
    [{ logitBias: { '5': 101 } }, 'logit_bias.5'],
    [{ logitBias: Object.fromEntries(Array.from({ length: 1_025 }, (_, i) => [i, 0])) }, 'logit_bias'],
  ]
  it.each(refused)('refuses %o by the name of its field', (values, field) => {
    expect(() => resolveSampling({ ...open, ...values }, defaults, 100)).toThrow(
      expect.objectContaining({ status: 400, field, message: expect.stringContaining('got') }),
    )
  })
})
