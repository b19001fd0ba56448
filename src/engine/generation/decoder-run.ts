/** One run of a decoder's graph: the inputs that follow from tokens and lengths, and the logits of each row. */
import type { Ort } from '../ort/instance.ts'
import type { Port } from '../ort/ports.ts'
import type { Pointer } from '../ort/private-exports.ts'
import { type HeapTensor, placeOf, wrap } from '../ort/tensors.ts'
import { type DecoderPorts, type TokenInput, tokenInputs } from './decoder-ports.ts'

export interface DecoderRun {
  /** New tokens, [rows, tokens of each], row by row. */
  tokens: readonly number[]
  /** Tokens that each row holds already. Rows of different lengths take one new token each. */
  lengths: readonly number[]
  /** Tensors of the keys and values, by side. */
  pasts: readonly Pointer[]
  /** Tensors to write the new keys and values to, by side; ORT makes them where absent. */
  presents?: readonly Pointer[]
  /** Logits after each token of a single row, in place of those after the last one of each row. */
  each?: boolean
  /** Arrays for the logits, made where they are missing; new ones where absent. */
  into?: Float32Array[]
}

export interface DecoderResult {
  /** After the last token of each row, or after each token, [vocabulary]. */
  logits: Float32Array[]
  /** Tensors of the new keys and values, by side. */
  presents: readonly Pointer[]
}

/** @throws {OrtError} what the graph refuses; nothing has been taken from the heap then. */
export function runDecoder(ports: DecoderPorts, run: DecoderRun): DecoderResult {
  const { session, sides, outputs } = ports
  const { ort } = session
  const made: HeapTensor[] = []
  try {
    const given: Pick<HeapTensor, 'handle'>[] = []
    for (const [input, port] of session.inputs.entries()) {
      if (!isTokenInput(port.name)) continue
      const tensor = integerTensor(ort, port, ...tokenValues(port.name, port.shape.length, run))
      made.push(tensor)
      given[input] = tensor
    }
    for (const [side, { input }] of sides.entries()) given[input] = { handle: run.pasts[side]! }
    const [logits, ...presents] = session.runHandles(given, outputs, run.presents && [0, ...run.presents])
    try {
      return { logits: readLogits(ort, outputs[0]!, logits!, run), presents }
    } finally {
      ort.module._OrtReleaseTensor(logits!)
    }
  } finally {
    if (!ort.trapped) for (const tensor of made) tensor.release()
  }
}

/** Shape and values of an input over the rows of a run. */
function tokenValues(
  name: TokenInput,
  rank: number,
  { tokens, lengths, each: isEach }: DecoderRun,
): [shape: number[], values: ArrayLike<number>] {
  const rows = lengths.length
  const each = tokens.length / rows
  switch (name) {
    case 'input_ids':
      return [[rows, each], tokens]
    case 'position_ids':
      return [[rows, each], tokens.map((_, at) => lengths[Math.floor(at / each)]! + (at % each))]
    case 'attention_mask': {
      // Ones up to each row's own length: graphs sum them to find it.
      const total = Math.max(...lengths) + each
      const mask = new Uint8Array(rows * total)
      for (const [row, length] of lengths.entries()) mask.fill(1, row * total, row * total + length + each)
      return [[rows, total], mask]
    }
    case 'num_logits_to_keep':
      // A scalar, or a list of one.
      return [Array<number>(rank).fill(1), [isEach ? each : 1]]
  }
}

function isTokenInput(name: string): name is TokenInput {
  return (tokenInputs as readonly string[]).includes(name)
}

/** Non-negative integers as int32 or as int64, whose upper words are zero. */
function integerTensor(ort: Ort, { dtype }: Port, shape: number[], values: ArrayLike<number>): HeapTensor {
  const wordsEach = dtype === 'int64' ? 2 : 1
  const sizeBytes = values.length * wordsEach * 4
  const data = ort.malloc(sizeBytes)
  const words = ort.words(data, values.length * wordsEach).fill(0)
  for (let at = 0; at < values.length; at++) words[at * wordsEach] = values[at]!
  try {
    const handle = wrap(ort, dtype, shape, data, sizeBytes)
    return {
      handle,
      data,
      release() {
        ort.module._OrtReleaseTensor(handle)
        ort.free(data)
      },
    }
  } catch (error) {
    ort.free(data)
    throw error
  }
}

/** Positions of [rows, positions, vocabulary]: the last one of each row, or all of one row. Copies, since samplers overwrite them. */
function readLogits(
  ort: Ort,
  { dtype }: Port,
  handle: Pointer,
  { tokens, lengths, each, into = [] }: DecoderRun,
): Float32Array[] {
  const { data, shape } = placeOf(ort, handle)
  const [positions = 1, vocabulary = 0] = shape.slice(-2)
  const Values = dtype === 'float16' ? Float16Array : Float32Array
  const count = each ? tokens.length : lengths.length
  for (let index = 0; index < count; index++) {
    const position = each ? index : (index + 1) * positions - 1
    const at = data + position * vocabulary * Values.BYTES_PER_ELEMENT
    if (into[index]?.length !== vocabulary) into[index] = new Float32Array(vocabulary)
    into[index]!.set(new Values(ort.memory.buffer, at, vocabulary))
  }
  return into.slice(0, count)
}
