/**
 * Where in a sound somebody speaks, by a small recurrent model that hears one frame of 32 ms after another (Silero VAD).
 *
 * A sound may come in pieces: the state that comes back with one goes in with the next, and the answers are those for the whole.
 */
import { badRequest, cancelled, invalidParameter, isServingError, modelFailed } from '#contracts/errors.ts'
import { taskSignature, voiceDefaults } from '#contracts/task-signatures.ts'
import { type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { readWav } from '../audio/read-wav.ts'
import { endSpeech, followFrame, type Segment, type SegmentOptions } from '../audio/speech-segments.ts'
import { decodeState, encodeState, newVoiceState, type VoiceSizes, type VoiceState } from '../audio/voice-state.ts'
import { floatsOf } from '../floats.ts'
import { nextTurn } from '../next-turn.ts'
import type { OrtSession } from '../ort/session.ts'
import { booleanParam, integerParam, numberParam, type Params, textParam } from '../params.ts'
import { runGraph } from '../run-graph.ts'
import type { TaskDefinition } from '../task-definition.ts'

const sampleRate = 16_000
const frameSamples = 512
const contextSamples = 64
/** Frames before others have a turn; some milliseconds of work. */
const framesPerTurn = 32

interface VoiceRow {
  segments: Segment[]
  probabilities?: number[]
  /** Of a sound that comes in pieces: when the speech began that goes on, and what to send with the next piece. */
  speaking_since?: number | null
  state?: string
}

export const voiceActivityTask: TaskDefinition = {
  task: 'voice-activity',
  async load({ session }) {
    const hear = frameOf(session)
    const sizes: VoiceSizes = { memory: memorySize(session), context: contextSamples, frame: frameSamples }
    return {
      signature: taskSignature('voice-activity'),
      async invoke({ inputs, params }, signal) {
        const options = segmentOptions(params)
        const withProbabilities = booleanParam(params, 'return_probabilities') ?? false
        const given = textParam(params, 'state')
        const sounds = audioColumn(inputs)
        if (given !== undefined && sounds.length !== 1)
          throw invalidParameter('state', `it belongs to one sound; ${sounds.length} rows came`)
        const startedMs = performance.now()
        const rows: VoiceRow[] = []
        for (const [row, bytes] of sounds.entries()) {
          const state = given ? decodeState(given, sizes) : newVoiceState(sizes)
          const isLast = given === undefined
          const samples = soundOf(bytes, row)
          const heard = await follow(samples, state, { ...options, hear, isLast, signal })
          rows.push({
            segments: heard.segments.map(inSeconds),
            ...(withProbabilities ? { probabilities: heard.probabilities } : {}),
            ...(isLast ? {} : { speaking_since: speakingSince(state), state: encodeState(state) }),
          })
        }
        return {
          outputs: segmentTensors(rows),
          rows,
          usage: { promptTokens: 0, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

/** Probability of speech in one frame; the state's memory and context go on to the next. */
type Hear = (state: VoiceState, frame: Float32Array) => number

interface FollowOptions extends SegmentOptions {
  hear: Hear
  /** The sound ends here: its last frame is filled up with silence and its last segment ends. */
  isLast: boolean
  signal: AbortSignal | undefined
}

async function follow(samples: Float32Array, state: VoiceState, { hear, isLast, signal, ...options }: FollowOptions) {
  const segments: Segment[] = []
  const probabilities: number[] = []
  const all = new Float32Array(state.rest.length + samples.length)
  all.set(state.rest)
  all.set(samples, state.rest.length)
  let at = 0
  for (; at + frameSamples <= all.length || (isLast && at < all.length); at += frameSamples) {
    const frame = new Float32Array(frameSamples)
    frame.set(all.subarray(at, at + frameSamples))
    const probability = hear(state, frame)
    probabilities.push(probability)
    const ended = followFrame(state.segments, probability, options)
    if (ended) segments.push(ended)
    if (probabilities.length % framesPerTurn !== 0) continue
    await nextTurn()
    if (signal?.aborted) throw cancelled()
  }
  state.rest = all.slice(Math.min(at, all.length))
  const last = isLast ? endSpeech(state.segments, options) : undefined
  if (last) segments.push(last)
  return { segments, probabilities }
}

/** The graph as a function of a frame. It takes the state under `state` and gives the next one as its second output. */
function frameOf(session: OrtSession): Hear {
  const names = session.inputs.map(({ name }) => name)
  const [output, next] = session.outputs
  if (!names.includes('input') || !names.includes('state') || !output || !next) {
    throw modelFailed(
      `A voice detector takes "input" and "state" and gives a probability and the next state; the graph takes ${names.map((name) => `"${name}"`).join(', ')}.`,
    )
  }
  const rate = { sr: tensorOf('int64', [], BigInt64Array.of(BigInt(sampleRate))) }
  const size = memorySize(session)
  return (state, frame) => {
    const input = new Float32Array(contextSamples + frameSamples)
    input.set(state.context)
    input.set(frame, contextSamples)
    const result = runGraph(session, {
      ...(names.includes('sr') ? rate : {}),
      input: tensorOf('float32', [1, input.length], input),
      state: tensorOf('float32', [2, 1, size / 2], state.memory),
    })
    state.memory = floatsOf(next.name, result[next.name]!)
    state.context = frame.slice(-contextSamples)
    return floatsOf(output.name, result[output.name]!)[0]!
  }
}

function memorySize({ inputs }: OrtSession): number {
  const width = inputs.find(({ name }) => name === 'state')?.shape.at(-1)
  return 2 * (typeof width === 'number' ? width : 128)
}

function segmentOptions(params: Params): SegmentOptions {
  const frameMs = (1_000 * frameSamples) / sampleRate
  const framesOf = (name: string, fallback: number) =>
    Math.ceil((integerParam(params, name, 0, Number.MAX_SAFE_INTEGER) ?? fallback) / frameMs)
  return {
    threshold: numberParam(params, 'threshold', 0, 1) ?? voiceDefaults.threshold,
    minSpeechFrames: framesOf('min_speech_ms', voiceDefaults.minSpeechMs),
    minSilenceFrames: framesOf('min_silence_ms', voiceDefaults.minSilenceMs),
  }
}

function audioColumn(inputs: NamedTensors): readonly Uint8Array[] {
  const column = inputs.audio
  if (!column) throw invalidParameter('audio', 'this column is required')
  if (column.dtype !== 'binary') throw invalidParameter('audio', `sounds are expected, ${column.dtype} came`)
  return column.items
}

function soundOf(bytes: Uint8Array, row: number): Float32Array {
  try {
    return readWav(bytes, sampleRate)
  } catch (error) {
    if (!isServingError(error)) throw error
    throw badRequest(`audio[${row}]: ${error.message}`, `audio[${row}]`)
  }
}

function inSeconds({ start, end }: Segment): Segment {
  return { start: seconds(start), end: seconds(end) }
}

function speakingSince({ segments }: VoiceState): number | null {
  return segments.speechFrom < 0 ? null : seconds(segments.speechFrom)
}

function seconds(frames: number): number {
  return (frames * frameSamples) / sampleRate
}

/** All segments of all sounds one after another, with the row of each. */
function segmentTensors(rows: readonly VoiceRow[]): NamedTensors {
  const all = rows.flatMap(({ segments }, row) => segments.map((segment) => ({ ...segment, row })))
  const shape = [all.length]
  return {
    row: tensorOf(
      'int32',
      shape,
      Int32Array.from(all, ({ row }) => row),
    ),
    start: tensorOf(
      'float64',
      shape,
      Float64Array.from(all, ({ start }) => start),
    ),
    end: tensorOf(
      'float64',
      shape,
      Float64Array.from(all, ({ end }) => end),
    ),
  }
}
