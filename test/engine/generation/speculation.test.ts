import { beforeAll, describe, expect, it } from 'vitest'
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import type { Decoder } from '#src/engine/generation/decoder.ts'
import { readDecoderPorts } from '#src/engine/generation/decoder-ports.ts'
import { Drafter } from '#src/engine/generation/draft.ts'
import { generate, type TextModel } from '#src/engine/generation/generate.ts'
import { probeDrafts } from '#src/engine/generation/probe-drafts.ts'
import { probeLengths, readableFrom, Speculation } from '#src/engine/generation/speculation.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { bootNodeOrt } from '../../support/node-ort.ts'
import {
  collect,
  greedy,
  type Loaded,
  loadTextModel,
  nextBlock,
  requestOf,
  rescheduled,
  seeded,
  textOf,
  tinyStories,
} from './support.ts'

const repetitive = 'Lily had a red ball. Tim had a red ball. Lily had a red ball. Tim had a red ball. Lily had'
const ordinary = 'Tom and his dog went to the big green park. They saw a little girl'

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

/** What runs with so many drafted tokens cost, in milliseconds; `flat`: as much as a single one. */
type Cost = (drafted: number) => number
const flat: Cost = () => 1

interface Drafting {
  model: TextModel
  decoder: Decoder
  /** Tokens of each run that wrote. */
  runs: number[]
}

/** A model that drafts, on a clock that only runs of the graph move. */
function drafting(loaded: Loaded, cost: Cost): Drafting {
  let nowMs = 0
  const now = () => nowMs
  const runs: number[] = []
  const ports = readDecoderPorts(loaded.session)
  const speculation = new Speculation((length) => {
    const { isExact } = probeDrafts(ports, length, now)
    return { isExact, costs: [0, 1, 2, 3].map((drafted) => ({ drafted, ms: cost(drafted) })) }
  })
  const { model, decoder } = rescheduled(loaded, {}, { speculation, now })
  const [step, readEach] = [decoder.step.bind(decoder), decoder.readEach.bind(decoder)]
  decoder.step = (rows, tokens) => {
    nowMs += cost(0)
    runs.push(1)
    return step(rows, tokens)
  }
  decoder.readEach = (row, tokens) => {
    nowMs += cost(tokens.length - 1)
    runs.push(tokens.length)
    return readEach(row, tokens)
  }
  return { model, decoder, runs }
}

function drafted({ runs }: Drafting): number {
  return runs.filter((tokens) => tokens > 1).length
}

describe.for([tinyStories])('$name', (description) => {
  const { missing } = description
  let loaded: Loaded
  let plain: TextModel
  beforeAll(async () => {
    if (missing) return
    loaded = await loadTextModel(ort, description)
    plain = rescheduled(loaded).model
  })
  const always = () => drafting(loaded, flat)

  it.for<[string, string, Partial<GenerationRequest>]>([
    ['the likeliest tokens', repetitive, {}],
    ['the likeliest tokens of an ordinary text', ordinary, {}],
    ['a seed', repetitive, { sampling: seeded(3) }],
    ['another seed', ordinary, { sampling: seeded(4) }],
    ['log probabilities', repetitive, { topLogprobs: 3, sampling: seeded(5) }],
    [
      'penalties',
      repetitive,
      { sampling: { ...seeded(6), repetitionPenalty: 1.1, presencePenalty: 0.4, frequencyPenalty: 0.2 } },
    ],
    ['biases', repetitive, { sampling: { ...greedy, logitBias: { 300: 4, 261: -3 } } }],
    ['a stop text', repetitive, { stop: ['ball', 'dog'], ignoreEos: false }],
    ['a regular expression', repetitive, { constraint: { kind: 'regex', pattern: '( a red ball| a blue ball){2,6}' } }],
    [
      'a schema',
      ordinary,
      { constraint: { kind: 'json-schema', schema: { enum: ['a red ball a red ball a red ball'] } } },
    ],
    ['few tokens', repetitive, { maxTokens: 3 }],
    ['the whole context', repetitive, { maxTokens: null }],
  ])('with %s the events are those without drafts, to the bit', async ([, prompt, changes], { skip }) => {
    skip(missing !== '', missing)
    const request = requestOf(prompt, { maxTokens: 80, ignoreEos: !changes.constraint, ...changes })
    const expected = await collect(generate(plain, request))
    const actual = await collect(generate(always().model, request))
    expect(actual.map(withoutTimes)).toEqual(expected.map(withoutTimes))
  })

  it('a request that joins or leaves in the middle of drafts changes nothing', async ({ skip }) => {
    skip(missing !== '', missing)
    const request = requestOf(repetitive, { maxTokens: 120, ignoreEos: true })
    const expected = textOf(await collect(generate(plain, request)))
    const { model } = always()
    const joined: Promise<GenerationEvent[]>[] = []
    let [text, deltas] = ['', 0]
    for await (const event of await generate(model, request)) {
      if (event.type !== 'text-delta') continue
      text += event.text
      if (++deltas % 25 === 0)
        joined.push(collect(generate(model, requestOf(ordinary, { maxTokens: 5, sampling: seeded(1) }))))
    }
    expect(text).toBe(expected)
    const texts = await Promise.all(joined)
    expect(new Set(texts.map((events) => textOf(events)))).toEqual(
      new Set([textOf(await collect(generate(plain, requestOf(ordinary, { maxTokens: 5, sampling: seeded(1) }))))]),
    )
  })
})

describe(`graphs with plain attention ${tinyStories.missing}`, () => {
  let loaded: Loaded
  beforeAll(async () => {
    if (!tinyStories.missing) loaded = await loadTextModel(ort, tinyStories)
  })
  const facts = it.skipIf(tinyStories.missing !== '')
  const request = requestOf(repetitive, { maxTokens: 200, ignoreEos: true, sampling: { ...greedy, logitBias: {} } })

  facts('a text that repeats itself takes fewer runs than tokens', async () => {
    const cheap = drafting(loaded, flat)
    await collect(generate(cheap.model, request))
    // The last token is not read.
    expect(cheap.runs.length).toBeLessThan(199 * 0.8)
    expect(Math.max(...cheap.runs)).toBe(4)
  })

  facts('where runs of several tokens cost as much as those one by one, hardly any happen', async () => {
    const dear = drafting(loaded, (count) => 1 + count)
    await collect(generate(dear.model, request))
    expect(drafted(dear)).toBeLessThanOrEqual(3)
  })

  facts('runs that become dear end, and runs that become cheap are found out', async () => {
    let cost: Cost = flat
    const changing = drafting(loaded, (count) => cost(count))
    const runsOf = async () => {
      changing.runs.length = 0
      await collect(generate(changing.model, request))
      return drafted(changing)
    }
    const cheap = await runsOf()
    cost = (count) => 1 + 3 * count
    await runsOf()
    expect(await runsOf()).toBeLessThanOrEqual(3)
    cost = flat
    let again = 0
    for (let round = 0; round < 40 && again < cheap; round++) again = await runsOf()
    expect(again).toBeGreaterThanOrEqual(cheap)
  })

  facts('where the clock stands still nothing is drafted', async () => {
    const still = drafting(loaded, () => 0)
    await collect(generate(still.model, request))
    expect(drafted(still)).toBeLessThanOrEqual(3)
  })

  facts('several choices are not drafted for', async () => {
    const cheap = drafting(loaded, flat)
    await collect(generate(cheap.model, { ...request, choices: 2 }))
    expect(drafted(cheap)).toBe(0)
  })

  facts('streams that are left in the middle of drafts leave nothing behind', async () => {
    const own = await bootNodeOrt()
    const { model } = drafting(await loadTextModel(own, tinyStories), flat)
    const places: number[] = []
    for (let round = 0; round < 90; round++) {
      let deltas = 0
      for await (const event of await generate(model, { ...request, tenant: 'one' })) {
        if (event.type === 'text-delta' && ++deltas > round % 30) break
      }
      if (round % 30 === 29) places.push(nextBlock(own, 2 ** 20))
    }
    expect(places).toEqual([places[0], places[0], places[0]])
  })
})

describe('a probe', () => {
  it.skipIf(tinyStories.missing !== '')(
    'finds plain attention exact, and int8 with one scale for all tokens not',
    async () => {
      for (const [graph, isExact] of [
        ['onnx/model.onnx', true],
        ['onnx/model_quantized.onnx', false],
      ] as const) {
        const { session } = await loadTextModel(ort, { ...tinyStories, graph })
        const ports = readDecoderPorts(session)
        const found = probeLengths.map((length) => probeDrafts(ports, length, () => 0).isExact)
        expect(found.every((each) => each)).toBe(isExact)
      }
    },
  )

  it('of runs never goes past the end of a group of four', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(readableFrom)).toEqual([3, 2, 1, 4, 3, 2, 1, 4])
  })
})

describe('a draft', () => {
  it('is what followed the last occurrence of the longest match', () => {
    expect(new Drafter([1, 2, 3, 9, 2, 3, 5, 5, 1, 2, 3]).draft(3)?.tokens).toEqual([9, 2, 3])
    expect(new Drafter([2, 3, 9, 2, 3, 5, 2, 3]).draft(2)?.tokens).toEqual([5, 2])
  })

  it('goes round where the text repeats itself', () => {
    expect(new Drafter([7, 1, 2, 1, 2]).draft(3)?.tokens).toEqual([1, 2, 1])
  })

  it('needs a match of two tokens', () => {
    expect(new Drafter([1, 2, 3, 2]).draft(3)).toBeNull()
    expect(new Drafter([]).draft(3)).toBeNull()
  })

  it('is worth what drafts after such matches were worth, read or not', () => {
    const drafter = new Drafter([1, 2, 3])
    const chances: number[] = []
    for (let round = 0; round < 30; round++) {
      for (const token of [1, 2, 10 + round]) {
        const draft = drafter.draft(1)
        if (token >= 10 && draft) chances.push(draft.chance)
        drafter.accept(token)
      }
    }
    expect(chances[0]).toBe(0.5)
    expect(chances.at(-1)).toBeLessThan(0.1)
  })
})

function withoutTimes(event: GenerationEvent): unknown {
  if (event.type === 'prompt-read') return event.promptTokens
  return event.type === 'usage-final' ? event.usage.completionTokens : event
}
