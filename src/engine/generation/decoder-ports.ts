/** What a decoder's graph takes and gives, read from its ports alone. */
import { modelFailed } from '#contracts/errors.ts'
import { dtypes, type NumericDtype } from '#contracts/tensor.ts'
import type { Port } from '../ort/ports.ts'
import type { OrtSession } from '../ort/session.ts'
import type { KvShape } from './kv-copy.ts'

/** Keys or values of one layer: what goes in under one name comes out, longer, under another. */
export interface KvSide extends KvShape {
  readonly dtype: NumericDtype
  /** Index among the session's inputs. */
  readonly input: number
  /** Index among `DecoderPorts.outputs`. */
  readonly output: number
}

export interface DecoderPorts {
  readonly session: OrtSession
  readonly sides: readonly KvSide[]
  /** The logits, then one output for each side. */
  readonly outputs: readonly Port[]
}

/** Inputs that are made from tokens and lengths. */
export const tokenInputs = ['input_ids', 'attention_mask', 'position_ids', 'num_logits_to_keep'] as const
export type TokenInput = (typeof tokenInputs)[number]

const pastName = /^past_key_values\.(\d+)\.(key|value)$/

/** @throws {ServingError} 400 for a graph that keeps no keys and values under the usual names, or needs more than tokens. */
export function readDecoderPorts(session: OrtSession): DecoderPorts {
  const { inputs } = session
  const logits = session.outputNamed('logits')
  if (logits.dtype !== 'float32' && logits.dtype !== 'float16') {
    throw modelFailed(`The graph's output "logits" is ${logits.dtype}; float32 or float16 is expected.`)
  }
  if (!inputs.some(({ name }) => name === 'input_ids')) throw modelFailed('The graph has no input "input_ids".')
  const outputs = [logits]
  const sides: KvSide[] = []
  for (const [input, port] of inputs.entries()) {
    if ((tokenInputs as readonly string[]).includes(port.name)) requireIntegers(port)
    else {
      sides.push(kvSide(port, input, outputs.length))
      outputs.push(session.outputNamed(port.name.replace('past_key_values', 'present')))
    }
  }
  if (sides.length === 0) {
    throw modelFailed('The graph keeps no keys and values (past_key_values.N.key); export it with its cache.')
  }
  return { session, sides, outputs }
}

/** Whether a run can be asked for the logits of all its tokens; some graphs keep those of the last one alone. */
export function givesEachLogits({ session, outputs: [logits] }: DecoderPorts): boolean {
  return session.inputs.some(({ name }) => name === 'num_logits_to_keep') || logits!.shape.at(-2) !== 1
}

/** Bytes of one position's keys and values over all layers. */
export function bytesPerToken(sides: readonly KvSide[]): number {
  return sides.reduce((sum, { heads, headBytes }) => sum + heads * headBytes, 0)
}

/** The shape of a side over rows: [rows, heads, positions, head size]. */
export function sideShape({ heads, headBytes, dtype }: KvSide, rows: number, positions: number): number[] {
  return [rows, heads, positions, headBytes / dtypes[dtype].bytes]
}

function kvSide({ name, dtype, shape }: Port, input: number, output: number): KvSide {
  if (!pastName.test(name)) {
    throw modelFailed(`The graph needs an input "${name}", which text generation cannot make.`)
  }
  const [, heads, , headSize] = shape
  if (shape.length !== 4 || typeof heads !== 'number' || typeof headSize !== 'number') {
    throw modelFailed(
      `The graph's input "${name}" has shape [${shape.join(', ')}]; [rows, heads, positions, head size] with known heads and head size is expected.`,
    )
  }
  if (dtype !== 'float32' && dtype !== 'float16') {
    throw modelFailed(`The graph's input "${name}" is ${dtype}; float32 or float16 is expected.`)
  }
  return { dtype, heads, headBytes: headSize * dtypes[dtype].bytes, input, output }
}

function requireIntegers({ name, dtype }: Port): void {
  if (dtype !== 'int64' && dtype !== 'int32') {
    throw modelFailed(`The graph's input "${name}" is ${dtype}; int64 or int32 is expected.`)
  }
}
