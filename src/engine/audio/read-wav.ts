/** Samples from a WAV file: 16-bit PCM at the rate that the model hears. Several channels are averaged. */
import { badRequest, type ServingError } from '#contracts/errors.ts'

const formats: Readonly<Record<number, string>> = {
  1: 'PCM',
  3: 'floating-point',
  6: 'A-law',
  7: 'µ-law',
  65534: 'extensible',
}
const pcm = 1
const extensible = 65_534

/** Samples between −1 and 1. @throws {ServingError} 400 that says what the sound is and what was expected. */
export function readWav(bytes: Uint8Array, sampleRate: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.byteLength < 12 || tag(bytes, 0) !== 'RIFF' || tag(bytes, 8) !== 'WAVE')
    throw badSound('a WAV file is expected, and it is none.')
  let channels = 0
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const name = tag(bytes, at)
    // A recorder that streams does not know the length yet and writes 0xffffffff: what came is all there is.
    const end = Math.min(at + 8 + view.getUint32(at + 4, true), bytes.byteLength)
    if (name === 'fmt ')
      channels = readFormat(new DataView(view.buffer, view.byteOffset + at + 8, end - at - 8), sampleRate)
    if (name === 'data') {
      if (channels === 0) throw badSound('the WAV file has no format before its data.')
      return samplesOf(new DataView(view.buffer, view.byteOffset + at + 8, end - at - 8), channels)
    }
    at = end + (end & 1)
  }
  throw badSound('the WAV file has no data.')
}

/** The number of channels. */
function readFormat(view: DataView, sampleRate: number): number {
  if (view.byteLength < 16) throw badSound('the WAV file is truncated.')
  const declared = view.getUint16(0, true)
  const format = declared === extensible && view.byteLength >= 26 ? view.getUint16(24, true) : declared
  const [channels, rate, bits] = [view.getUint16(2, true), view.getUint32(4, true), view.getUint16(14, true)]
  if (format !== pcm || bits !== 16)
    throw badSound(`16-bit PCM is expected, ${bits}-bit ${formats[format] ?? `format ${format}`} came.`)
  if (rate !== sampleRate) throw badSound(`${sampleRate} Hz are expected, ${rate} Hz came.`)
  if (channels === 0) throw badSound('the WAV file has no channels.')
  return channels
}

function samplesOf(view: DataView, channels: number): Float32Array {
  const count = Math.floor(view.byteLength / (2 * channels))
  const samples = new Float32Array(count)
  for (let index = 0; index < count; index++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) sum += view.getInt16(2 * (index * channels + channel), true)
    samples[index] = sum / channels / 32_768
  }
  return samples
}

function badSound(reason: string): ServingError {
  return badRequest(`The sound cannot be read: ${reason}`)
}

function tag(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4))
}
