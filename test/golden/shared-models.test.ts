import { beforeAll, describe, expect, it } from 'vitest'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { floatsOf } from '#src/engine/floats.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { loadTokenizer } from '#src/engine/tokenizer.ts'
import { type ExpectedTensor, expectedInput, noPast, numbers } from '../support/graph-inputs.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  sharedBytes,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

interface Case {
  name: string
  model: string
  tolerance: number
  inputs?: Record<string, ExpectedTensor>
  outputs?: Record<string, ExpectedTensor>
  file?: string
  top3?: { id: number; score: number }[]
  prompt?: string
  prompt_ids?: number[]
  generated_ids?: number[]
  prefill_last_position_logits?: number[]
  speech_probability_per_frame?: number[]
  graph_inputs?: string[]
}

const casesOf = (model: string) =>
  haveSharedModels ? (sharedJson(model, 'expected.json') as { cases: Case[] }).cases : []
const titled = (model: string) => casesOf(model).map((one) => [`${one.model}, ${one.name}`, one] as const)

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  for (const [index, value] of expected.entries())
    expect(Math.abs(actual[index]! - value), `at ${index}`).toBeLessThanOrEqual(tolerance)
}

function expectTensor(name: string, actual: NumericTensor, expected: ExpectedTensor, tolerance: number): void {
  const values = floatsOf(name, actual)
  expect(actual.dtype).toBe(expected.dtype)
  expect(actual.shape).toEqual(expected.dims)
  if (expected.data) expectClose(values, expected.data, tolerance)
  if (!expected.first) return
  expectClose(values.subarray(0, expected.first.length), expected.first, tolerance)
  expect(values.reduce((low, value) => Math.min(low, value))).toBeCloseTo(expected.min!, 1)
  expect(values.indexOf(values.reduce((high, value) => Math.max(high, value)))).toBe(expected.argmax)
}

const withTensors = [
  'fixture-bert-random-sentence_embedding',
  'fixture-bert-random-sequence_classification',
  'fixture-bert-random-token_classification',
  'mnist-cntk',
  'squeezenet',
  'yolox-nano',
]

describe.skipIf(!haveSharedModels)(`expected outputs of the shared models (${withoutSharedModels})`, () => {
  describe.each(withTensors)('%s', (model) => {
    it.each(titled(model))('%s', async (_, { model: file, inputs, outputs, tolerance }) => {
      const session = await loadGraph(ort, sharedReader(model), file)
      const tensors = Object.entries(inputs!).map(([name, tensor]) => [name, expectedInput(model, tensor)] as const)
      const result = session.run(Object.fromEntries(tensors))
      for (const [name, expected] of Object.entries(outputs!))
        expectTensor(name, result[name] as NumericTensor, expected, tolerance)
      session.release()
    })
  })

  it.each(titled('magika'))('magika: %s', async (_, { model, file, top3, tolerance }) => {
    const session = await loadGraph(ort, sharedReader('magika'), model)
    const { target_label } = session.run({
      bytes: numbers('int32', [1, 2048], magikaInput(sharedBytes('magika', file!))),
    })
    const scores = floatsOf('target_label', target_label!)
    for (const { id, score } of top3!) expect(Math.abs(scores[id]! - score)).toBeLessThanOrEqual(tolerance)
    session.release()
  })

  it.each(titled('silero-vad'))(
    'silero-vad: %s',
    async (_, { model, graph_inputs, speech_probability_per_frame, tolerance }) => {
      const session = await loadGraph(ort, sharedReader('silero-vad'), model)
      const wav = sharedBytes('silero-vad', 'sample.wav')
      const samples = Float32Array.from(new Int16Array(wav.buffer, wav.byteOffset + 44), (sample) => sample / 32_768)
      let state = numbers('float32', [2, 1, 128], [])
      const speech = speech_probability_per_frame!.map((_, frame) => {
        const input = Array.from({ length: 576 }, (_, at) => samples[frame * 512 - 64 + at] ?? 0)
        const sr = graph_inputs!.includes('sr') ? { sr: numbers('int64', [], [16_000]) } : {}
        const { output, stateN } = session.run({ input: numbers('float32', [1, 576], input), state, ...sr })
        state = stateN as NumericTensor
        return floatsOf('output', output!)[0]!
      })
      expectClose(speech, speech_probability_per_frame!, tolerance)
      session.release()
    },
  )

  it.each(titled('stories260k'))('stories260k: %s', async (_, expected) => {
    const session = await loadGraph(ort, sharedReader('stories260k'), expected.model)
    const tokenizer = await loadTokenizer(sharedReader('stories260k'))
    const prompt = tokenizer.encode(expected.prompt!, undefined, 512).ids
    expect(prompt).toEqual(expected.prompt_ids)

    let [past, total, next]: [NamedTensors, number, readonly number[]] = [noPast(), 0, prompt]
    const generated: number[] = []
    while (generated.length < expected.generated_ids!.length) {
      const positions = next.map((_, index) => total + index)
      total += next.length
      const outputs = session.run({
        input_ids: numbers('int64', [1, next.length], next),
        attention_mask: numbers('int64', [1, total], Array<number>(total).fill(1)),
        position_ids: numbers('int64', [1, next.length], positions),
        ...past,
      })
      const logits = (valuesOf(outputs.logits as NumericTensor) as Float32Array).subarray(-512)
      if (generated.length === 0) expectClose(logits, expected.prefill_last_position_logits!, expected.tolerance)
      const best = logits.indexOf(logits.reduce((high, value) => Math.max(high, value)))
      generated.push(best)
      next = [best]
      past = Object.fromEntries(
        Object.entries(outputs).map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor]),
      )
    }
    expect(generated).toEqual(expected.generated_ids)
    session.release()
  })
})

/** The first and the last 1,024 bytes without white space at the ends, filled up with 256. */
function magikaInput(file: Uint8Array): number[] {
  const isSpace = (byte: number) => (byte >= 9 && byte <= 13) || byte === 32
  const head = [...file.subarray(0, 4096)]
  const tail = [...file.subarray(-4096)]
  const start = head.findIndex((byte) => !isSpace(byte))
  const end = tail.findLastIndex((byte) => !isSpace(byte)) + 1
  const first = head.slice(start, start + 1024)
  const last = tail.slice(Math.max(0, end - 1024), end)
  const filler = (count: number) => Array<number>(count).fill(256)
  return [...first, ...filler(1024 - first.length), ...filler(1024 - last.length), ...last]
}
