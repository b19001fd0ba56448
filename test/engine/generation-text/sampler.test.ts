import { describe, expect, it } from 'vitest'
import { createRandomNumbers } from '#src/engine/generation/random.ts'
import { createSampler, createSamplerScratch } from '#src/engine/generation/sampler.ts'
import type { ResolvedSampling } from '#src/engine/generation/sampling.ts'
import { dice } from './tokenizer-files.ts'

const neutral: ResolvedSampling = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 42,
}
const scratch = createSamplerScratch(512)

interface Setting {
  sampling?: Partial<ResolvedSampling>
  choice?: number
  prompt?: number[]
  topLogprobs?: number | null
}
const sampler = ({ sampling = {}, choice = 0, prompt = [], topLogprobs = null }: Setting = {}) =>
  createSampler({ sampling: { ...neutral, ...sampling }, choice, prompt, topLogprobs, scratch })

const logitsOf = (probabilities: readonly number[]) => new Float32Array(probabilities.map((p) => Math.log(p)))
const randomLogits = (roll: (bound: number) => number, size: number, steps = 1_000) =>
  new Float32Array(Array.from({ length: size }, () => (roll(steps) / steps) * 10 - 5))

function drawsOf(logits: Float32Array, setting: Setting, count: number): number[] {
  const each = sampler(setting)
  return Array.from({ length: count }, () => each.sample(logits.slice()).token)
}

/** Which tokens come up at all, in 3,000 draws. */
const drawn = (logits: Float32Array, sampling: Partial<ResolvedSampling>) =>
  [...new Set(drawsOf(logits, { sampling }, 3_000))].sort((a, b) => a - b)

/** Sorts everything and filters in the documented order: what the sampler has to come to without sorting. */
function referenceOf(logits: Float32Array, { temperature, topK, topP, minP }: ResolvedSampling): number[] {
  let order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b)
  if (topK > 0) order = order.slice(0, topK)
  const weightOf = (token: number) => Math.exp((logits[token]! - logits[order[0]!]!) / temperature)
  const total = order.reduce((sum, token) => sum + weightOf(token), 0)
  if (topP < 1) {
    let sum = 0
    const last = order.findIndex((token) => {
      sum += weightOf(token)
      return sum >= topP * total
    })
    if (last >= 0) order = order.slice(0, last + 1)
  }
  order = order.filter((token) => weightOf(token) >= minP)
  const weights = new Array<number>(logits.length).fill(0)
  const kept = order.reduce((sum, token) => sum + weightOf(token), 0)
  for (const token of order) weights[token] = weightOf(token) / kept
  return weights
}

function chiSquare(counts: readonly number[], expected: readonly number[]): number {
  return counts.reduce((sum, count, i) => (expected[i] ? sum + (count - expected[i]!) ** 2 / expected[i]! : sum), 0)
}

describe('createRandomNumbers', () => {
  it('gives the same numbers for a seed and a stream, and others for any other', () => {
    const first = (seed: number, stream: number) => createRandomNumbers(seed, stream).next()
    const seeds = [0, 1, -1, 2 ** 32, 2 ** 53 - 1, 12345]
    const firsts = seeds.flatMap((seed) => [0, 1, 2].map((stream) => first(seed, stream)))
    expect(new Set(firsts).size).toBe(18)
    expect(seeds.flatMap((seed) => [0, 1, 2].map((stream) => first(seed, stream)))).toEqual(firsts)
  })

  it('spreads evenly over [0, 1)', () => {
    const random = createRandomNumbers(3, 0)
    const counts = new Array<number>(20).fill(0)
    for (let i = 0; i < 20_000; i++) counts[Math.floor(random.next() * 20)]! += 1
    // 19 degrees of freedom: 43.8 is exceeded once in a thousand.
    expect(chiSquare(counts, new Array(20).fill(1_000))).toBeLessThan(43.8)
  })
})

describe('createSampler', () => {
  it('takes the likeliest token at temperature 0, the lowest id among equals', () => {
    const logits = new Float32Array([1, 3, 2, 3])
    expect(sampler({ sampling: { temperature: 0 } }).sample(logits).token).toBe(1)
  })

  it.each([[0.5], [1], [1.7]])("draws as often as the model's distribution says at temperature %d", (temperature) => {
    const logits = logitsOf([0.4, 0.05, 0.3, 0.15, 0.1])
    const expected = referenceOf(logits, { ...neutral, temperature }).map((share) => share * 20_000)
    const counts = new Array<number>(5).fill(0)
    for (const token of drawsOf(logits, { sampling: { temperature } }, 20_000)) counts[token]! += 1
    // 4 degrees of freedom: 18.5 is exceeded once in a thousand.
    expect(chiSquare(counts, expected)).toBeLessThan(18.5)
  })

  it('draws from exactly the tokens that a sort of all would leave, in any mixture of filters', () => {
    const roll = dice(5)
    for (let round = 0; round < 150; round++) {
      // Few steps make many equal logits.
      const logits = randomLogits(roll, 1 + roll(60), [4, 20, 1_000_000][roll(3)])
      const sampling = {
        ...neutral,
        temperature: [0.3, 1, 1.5][roll(3)]!,
        topK: [0, 1, 5, 20, 100][roll(5)]!,
        topP: [1, 0.999, 0.9, 0.5, 0.01][roll(5)]!,
        minP: [0, 0.01, 0.3, 1][roll(4)]!,
        seed: round,
      }
      const expected = referenceOf(logits, sampling)
      const counts = new Array<number>(logits.length).fill(0)
      for (const token of drawsOf(logits, { sampling }, 1_000)) counts[token]! += 1
      const allowed = expected.map((share) => share > 0)
      expect(counts.filter((count, token) => count > 0 && !allowed[token])).toEqual([])
      // Tokens that come 20 times on average are never missing in a thousand draws.
      expect(expected.filter((share, token) => share > 0.02 && counts[token] === 0)).toEqual([])
    }
  })

  it('keeps exactly k tokens with top-k, the lowest ids among equals', () => {
    expect(drawn(new Float32Array([1, 1, 1, 1]), { topK: 2 })).toEqual([0, 1])
    expect(drawn(new Float32Array([0, 2, 1, 2]), { topK: 3 })).toEqual([1, 2, 3])
    expect(drawn(new Float32Array([0, 2, 1]), { topK: 1 })).toEqual([1])
    expect(drawn(new Float32Array([0, 2, 1]), { topK: 99 })).toEqual([0, 1, 2])
  })

  it('keeps the token that crosses top-p, and always one', () => {
    const logits = logitsOf([0.1, 0.5, 0.25, 0.15])
    expect(drawn(logits, { topP: 0.49 })).toEqual([1])
    expect(drawn(logits, { topP: 0.51 })).toEqual([1, 2])
    expect(drawn(logits, { topP: 0.76 })).toEqual([1, 2, 3])
    expect(drawn(logits, { topP: 1e-9 })).toEqual([1])
    expect(drawn(new Float32Array([0, 0, 0, 0]), { topP: 0.5 })).toEqual([0, 1])
  })

  it('takes top-p of what top-k has left', () => {
    // Of the two likeliest, the first has 0.67: alone enough for 0.6, which it is not among all.
    expect(drawn(logitsOf([0.1, 0.5, 0.25, 0.15]), { topK: 2, topP: 0.6 })).toEqual([1])
    expect(drawn(logitsOf([0.1, 0.5, 0.25, 0.15]), { topP: 0.6 })).toEqual([1, 2])
  })

  it('keeps tokens of at least min-p times the likeliest', () => {
    const logits = logitsOf([0.1, 0.5, 0.25, 0.15])
    expect(drawn(logits, { minP: 0.45 })).toEqual([1, 2])
    expect(drawn(logits, { minP: 0.25 })).toEqual([1, 2, 3])
    expect(drawn(logits, { minP: 1 })).toEqual([1])
  })

  it('gives the same tokens for a seed, whichever other choices and samplers draw meanwhile', () => {
    const roll = dice(9)
    const steps = Array.from({ length: 50 }, () => randomLogits(roll, 300))
    const alone = sampler({ choice: 1 })
    const expected = steps.map((logits) => alone.sample(logits.slice()).token)
    const [again, other] = [sampler({ choice: 1 }), sampler({ choice: 0, sampling: { topP: 0.9 } })]
    const others: number[] = []
    const tokens = steps.map((logits) => {
      others.push(other.sample(logits.slice()).token)
      return again.sample(logits.slice()).token
    })
    expect(tokens).toEqual(expected)
    expect(others).not.toEqual(expected)
  })

  it.each([
    [{ repetitionPenalty: 1.3 }],
    [{ presencePenalty: 1.5 }],
    [{ frequencyPenalty: 0.7 }],
    [
      {
        repetitionPenalty: 0.8,
        presencePenalty: -0.5,
        frequencyPenalty: 0.2,
        logitBias: [
          [3, 2.5],
          [7, -100],
        ] as const,
      },
    ],
  ])('penalises as a count over all tokens would: %o', (penalties) => {
    const roll = dice(13)
    const prompt = [1, 5, 5, 9, 2]
    const sampling: ResolvedSampling = { ...neutral, temperature: 0, ...penalties }
    const each = sampler({ sampling, prompt })
    const output: number[] = []
    for (let step = 0; step < 200; step++) {
      const logits = randomLogits(roll, 16)
      const expected = logits.map((logit, token) => {
        const count = output.filter((one) => one === token).length
        if (count > 0 || prompt.includes(token))
          logit =
            logit > 0
              ? Math.fround(logit / sampling.repetitionPenalty)
              : Math.fround(logit * sampling.repetitionPenalty)
        if (count > 0) logit -= sampling.presencePenalty + count * sampling.frequencyPenalty
        return Math.fround(logit) + (sampling.logitBias.find(([biased]) => biased === token)?.[1] ?? 0)
      })
      const { token } = each.sample(logits)
      expect(token).toBe(expected.indexOf(Math.max(...expected)))
      output.push(token)
    }
  })

  it('applies the mask after the biases, so that no bias brings back what a grammar forbids', () => {
    const mask = (logits: Float32Array) => logits.fill(-Infinity, 0, 3)
    for (const sampling of [{ temperature: 0 }, { temperature: 1 }, { topK: 2 }, { topP: 0.5 }]) {
      const each = sampler({ sampling: { ...sampling, logitBias: [[0, 100]] } })
      expect(each.sample(new Float32Array([9, 8, 7, 1, -50]), mask).token).toBe(3)
    }
  })

  it('refuses logits that leave no token, and passes over those that are no numbers', () => {
    expect(() => sampler().sample(new Float32Array([Number.NaN, Number.NaN]))).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringContaining('finite') }),
    )
    expect(() => sampler().sample(new Float32Array([1, 2]), (logits) => logits.fill(-Infinity))).toThrow('finite')
    for (const sampling of [{}, { temperature: 0 }, { topK: 1 }, { topP: 0.5 }, { minP: 0.1 }])
      expect(sampler({ sampling }).sample(new Float32Array([Number.NaN, 1, Number.NaN])).token).toBe(1)
  })

  it('never draws a token beyond the vocabulary, however likely the model makes it', () => {
    const narrow = createSamplerScratch(3)
    for (const temperature of [0, 1]) {
      const sampling = { ...neutral, temperature }
      const each = createSampler({ sampling, choice: 0, prompt: [], topLogprobs: 1, scratch: narrow })
      const { token, logprobs } = each.sample(new Float32Array([0, 30, 0, 99]))
      expect([token, logprobs!.top[0]!.token]).toEqual([1, 1])
    }
  })

  it('draws the one token that is infinitely likely', () => {
    expect(sampler().sample(new Float32Array([1, Infinity, 2])).token).toBe(1)
  })

  it('stays in range at temperatures close to 0', () => {
    for (const temperature of [1e-3, 1e-5, 1e-9, Number.MIN_VALUE])
      expect(sampler({ sampling: { temperature } }).sample(new Float32Array([1, 1.5, 1.4])).token).toBe(1)
  })

  it("gives log probabilities of the model's own distribution, untouched by penalties, mask and filters", () => {
    const each = sampler({ sampling: { temperature: 0.5, topK: 1, logitBias: [[1, -100]] }, topLogprobs: 2 })
    const { token, logprobs } = each.sample(logitsOf([0.1, 0.5, 0.25, 0.15]), (logits) => {
      logits[2] = -Infinity
    })
    expect(token).toBe(3)
    expect(logprobs!.logprob).toBeCloseTo(Math.log(0.15), 5)
    expect(logprobs!.top.map((top) => top.token)).toEqual([1, 2])
    expect(logprobs!.top[0]!.logprob).toBeCloseTo(Math.log(0.5), 5)
  })

  it('gives no others beside the token where none are asked for, and a number for the impossible', () => {
    const { logprobs } = sampler({ topLogprobs: 0, sampling: { temperature: 0 } }).sample(logitsOf([0.2, 0.8]))
    expect(logprobs).toEqual({ logprob: expect.closeTo(Math.log(0.8), 5), top: [] })
    const top = sampler({ topLogprobs: 3 }).sample(new Float32Array([0, -Infinity, 0])).logprobs!.top
    expect(top.map(({ token, logprob }) => [token, Math.round(logprob * 100)])).toEqual([
      [0, -69],
      [2, -69],
      [1, -999_900],
    ])
  })
})
