/**
 * What a stream of sound needs from one piece to the next, as a text that the client keeps: the model's own memory, the end of the
 * last frame, samples that did not fill a frame, and the speech that goes on. Nothing of it stays in the isolate, so that the next
 * piece may reach any replica.
 */
import { base64Of, bytesFromBase64 } from '#contracts/bytes.ts'
import { invalidParameter } from '#contracts/errors.ts'
import { newSegmentState, type SegmentState } from './speech-segments.ts'

export interface VoiceState {
  /** The recurrent network's state. */
  memory: Float32Array<ArrayBuffer>
  /** The last samples of the frame before. */
  context: Float32Array
  /** Samples of a frame that is not full yet. */
  rest: Float32Array
  segments: SegmentState
}

export interface VoiceSizes {
  memory: number
  context: number
  frame: number
}

const version = 1
const headWords = 5

export function newVoiceState({ memory, context }: VoiceSizes): VoiceState {
  return {
    memory: new Float32Array(memory),
    context: new Float32Array(context),
    rest: new Float32Array(0),
    segments: newSegmentState(),
  }
}

export function encodeState({ memory, context, rest, segments }: VoiceState): string {
  const floats = [memory, context, rest]
  const words = new Int32Array(headWords + floats.reduce((sum, { length }) => sum + length, 0))
  words.set([version, segments.frame, segments.speechFrom, segments.silenceFrom, rest.length])
  const numbers = new Float32Array(words.buffer)
  let at = headWords
  for (const part of floats) {
    numbers.set(part, at)
    at += part.length
  }
  return base64Of(new Uint8Array(words.buffer))
}

/** @throws {ServingError} 400 for a text that no reply gave. */
export function decodeState(text: string, sizes: VoiceSizes): VoiceState {
  const problem = () => invalidParameter('state', 'this is no state that came back with an earlier piece of this model')
  const fixed = headWords + sizes.memory + sizes.context
  if (text.length > 8 * (fixed + sizes.frame)) throw problem()
  let bytes: Uint8Array
  try {
    bytes = bytesFromBase64(text)
  } catch {
    throw problem()
  }
  if (bytes.byteLength % 4 !== 0 || bytes.byteLength < 4 * fixed) throw problem()
  const { buffer } = bytes.slice()
  const words = new Int32Array(buffer)
  const numbers = new Float32Array(buffer, 4 * headWords)
  const [form, frame = -1, speechFrom = -1, silenceFrom = -1, rest = -1] = words
  const isWhole = form === version && rest >= 0 && rest < sizes.frame && words.length === fixed + rest && frame >= 0
  if (!isWhole || speechFrom > frame || silenceFrom > frame || !numbers.every(Number.isFinite)) throw problem()
  return {
    memory: numbers.slice(0, sizes.memory),
    context: numbers.slice(sizes.memory, sizes.memory + sizes.context),
    rest: numbers.slice(sizes.memory + sizes.context),
    segments: { frame, speechFrom, silenceFrom },
  }
}
