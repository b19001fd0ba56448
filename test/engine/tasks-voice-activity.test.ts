import { beforeAll, describe, expect, it } from 'vitest'
import type { ServedModel } from '#contracts/served-model.ts'
import type { BinaryTensor, NumericTensor } from '#contracts/tensor.ts'
import { readWav } from '#src/engine/audio/read-wav.ts'
import { endSpeech, followFrame, newSegmentState } from '#src/engine/audio/speech-segments.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { voiceActivityTask } from '#src/engine/tasks/voice-activity.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  sharedBytes,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

interface Heard {
  segments: { start: number; end: number }[]
  probabilities: number[]
  speaking_since: number | null
  state: string
}

interface Case {
  model: string
  tolerance: number
  speech_probability_per_frame: number[]
  speech_segments_seconds_at_0_5: [number, number][]
}

const cases = haveSharedModels ? (sharedJson('silero-vad', 'expected.json') as { cases: Case[] }).cases : []
const sounds = (...items: Uint8Array[]): BinaryTensor => ({ dtype: 'binary', shape: [items.length], items })

/** A WAV file with these samples, in each channel. */
function wav(samples: readonly number[], { channels = 1, rate = 16_000, bits = 16, format = 1 } = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(44 + 2 * channels * samples.length))
  const text = (at: number, value: string) => new Uint8Array(view.buffer).set(new TextEncoder().encode(value), at)
  text(0, 'RIFF')
  text(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, format, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, rate, true)
  view.setUint16(34, bits, true)
  text(36, 'data')
  view.setUint32(40, 2 * channels * samples.length, true)
  for (const [at, sample] of samples.entries()) {
    for (let channel = 0; channel < channels; channel++) view.setInt16(44 + 2 * (at * channels + channel), sample, true)
  }
  return new Uint8Array(view.buffer)
}

describe.skipIf(!haveSharedModels)(`voice-activity (${withoutSharedModels})`, () => {
  let model: ServedModel
  const load = async (graph: string) =>
    loadModel(await bootNodeOrt(), voiceActivityTask, { reader: sharedReader('silero-vad'), graph, options: {} })
  const sample = () => sharedBytes('silero-vad', 'sample.wav')
  const hear = async (bytes: Uint8Array, params: object = {}, served = model) => {
    const { rows } = await served.invoke({ inputs: { audio: sounds(bytes) }, params: { ...params } })
    return rows![0] as Heard
  }
  beforeAll(async () => {
    model = await load('onnx/model.onnx')
  })

  it.each(cases.map((one) => [one.model, one] as const))(
    '%s gives the expected probabilities and segments',
    async (graph, one) => {
      const heard = await hear(
        sample(),
        { return_probabilities: true, min_speech_ms: 0, min_silence_ms: 0 },
        await load(graph),
      )
      expect(heard.probabilities).toHaveLength(one.speech_probability_per_frame.length)
      for (const [frame, probability] of heard.probabilities.entries())
        expect(Math.abs(probability - one.speech_probability_per_frame[frame]!)).toBeLessThanOrEqual(one.tolerance)
      expect(heard.segments.map(({ start, end }) => [start, end])).toEqual(
        one.speech_segments_seconds_at_0_5.map((times) => times.map((time) => expect.closeTo(time, 6))),
      )
    },
  )

  it('a sound in pieces gives the same as in one', async () => {
    const whole = await hear(sample(), { return_probabilities: true })
    const samples = [...readWav(sample(), 16_000)].map((value) => value * 32_768)
    const probabilities: number[] = []
    const segments: unknown[] = []
    let state = ''
    let speakingSince: number | null = null
    for (let at = 0; at < samples.length; at += 7_001) {
      const heard = await hear(wav(samples.slice(at, at + 7_001)), { return_probabilities: true, state })
      probabilities.push(...heard.probabilities)
      segments.push(...heard.segments)
      ;({ state, speaking_since: speakingSince } = heard)
    }
    expect(probabilities).toEqual(whole.probabilities)
    expect([...segments, { start: speakingSince, end: expect.closeTo(4.992) }]).toEqual(whole.segments)
  })

  it('rows are for themselves, and the same in tensors', async () => {
    const { rows, outputs } = await model.invoke({ inputs: { audio: sounds(sample(), wav([]), sample()) }, params: {} })
    const [first, empty, last] = rows as Heard[]
    expect(first).toEqual(last)
    expect(empty).toEqual({ segments: [] })
    const starts = new Float64Array((outputs.start as NumericTensor).bytes.buffer)
    expect([...starts]).toEqual([...first!.segments, ...last!.segments].map(({ start }) => start))
  })

  it.each([
    ['a broken state', { state: '%%' }, 'state'],
    ['a foreign state', { state: btoa('x'.repeat(1_400)) }, 'state'],
    ['a threshold past 1', { threshold: 1.5 }, 'threshold'],
  ])('refuses %s by name', async (_, params, field) => {
    await expect(hear(sample(), params)).rejects.toMatchObject({ status: 400, field })
  })

  it('refuses a state with several rows, and names the row of a broken sound', async () => {
    const two = { audio: sounds(sample(), Uint8Array.of(1, 2, 3)) }
    await expect(model.invoke({ inputs: two, params: { state: '' } })).rejects.toMatchObject({ field: 'state' })
    await expect(model.invoke({ inputs: two, params: {} })).rejects.toMatchObject({ field: 'audio[1]' })
  })

  it('stops when the caller goes away', async () => {
    const caller = new AbortController()
    const given = model.invoke({ inputs: { audio: sounds(sample()) }, params: {} }, caller.signal)
    caller.abort()
    await expect(given).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describe('WAV files', () => {
  it('are read as samples between −1 and 1; channels are averaged', () => {
    expect([...readWav(wav([0, 16_384, -32_768]), 16_000)]).toEqual([0, 0.5, -1])
    expect([...readWav(wav([8_192], { channels: 2 }), 16_000)]).toEqual([0.25])
  })

  it('whose length is unknown end where the bytes end', () => {
    const streamed = wav([1, 2])
    new DataView(streamed.buffer).setUint32(40, 0xffff_ffff, true)
    expect(readWav(streamed, 16_000)).toHaveLength(2)
  })

  it.each([
    ['of another rate', wav([1], { rate: 44_100 }), '16000 Hz are expected, 44100 Hz came'],
    ['of floats', wav([1], { format: 3, bits: 32 }), '16-bit PCM is expected, 32-bit floating-point came'],
    ['without channels', wav([], { channels: 0 }), 'has no channels'],
    ['that are none', new Uint8Array(60), 'a WAV file is expected'],
    ['without data', wav([]).subarray(0, 36), 'has no data'],
    ['that are cut in their format', wav([]).subarray(0, 24), 'is truncated'],
  ])('%s are refused', (_, bytes, problem) => {
    expect(() => readWav(bytes, 16_000)).toThrow(problem)
  })
})

describe('speech segments', () => {
  const segmentsOf = (probabilities: readonly number[], minSpeechFrames: number, minSilenceFrames: number) => {
    const [state, options] = [newSegmentState(), { threshold: 0.5, minSpeechFrames, minSilenceFrames }]
    const ended = probabilities.map((probability) => followFrame(state, probability, options))
    return [...ended, endSpeech(state, options)].flatMap((segment) => (segment ? [[segment.start, segment.end]] : []))
  }

  it('go on over short silence and leave out short speech', () => {
    const speech = [0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 1]
    expect(segmentsOf(speech, 0, 0)).toEqual([
      [1, 3],
      [4, 5],
      [8, 9],
      [11, 13],
    ])
    expect(segmentsOf(speech, 2, 2)).toEqual([
      [1, 5],
      [11, 13],
    ])
    expect(segmentsOf(speech, 0, 9)).toEqual([[1, 13]])
    expect(segmentsOf([1, 0], 0, 3)).toEqual([[0, 1]])
  })
})
