import { beforeAll, describe, expect, it } from 'vitest'
import { dtypes, tensorOf } from '#contracts/tensor.ts'
import type { Decoder, DecoderRow } from '#src/engine/generation/decoder.ts'
import { readDecoderPorts } from '#src/engine/generation/decoder-ports.ts'
import { openDecoder } from '#src/engine/generation/open-decoder.ts'
import { createSession } from '#src/engine/ort/create-session.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import { bootNodeOrt } from '../../support/node-ort.ts'
import { onnxModel } from '../../support/onnx-model.ts'
import { haveSharedModels, sharedJson, sharedReader, withoutSharedModels } from '../../support/shared-models.ts'
import { nextBlock, story, tinyStories } from './support.ts'
import { tinyDecoder } from './tiny-decoder.ts'

interface Golden {
  cases: { model: string; prompt_ids: number[]; generated_ids: number[] }[]
}

const bounds = { positions: 512, cacheBytes: 16 * 2 ** 20, rows: 8 }

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

function likeliest(logits: Float32Array): number {
  return logits.indexOf(logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY))
}

function greedily(decoder: Decoder, prompt: readonly number[], count: number): number[] {
  const row = decoder.open()
  const tokens = [likeliest(decoder.read(row, prompt))]
  while (tokens.length < count) tokens.push(likeliest(decoder.step([row], [tokens.at(-1)!])[0]!))
  decoder.close(row)
  return tokens
}

describe.skipIf(!haveSharedModels)(`golden ids ${haveSharedModels ? '' : withoutSharedModels}`, () => {
  it.each(['onnx/model.onnx', 'onnx/model_quantized.onnx'])(
    'stories260k writes the expected ones: %s',
    async (graph) => {
      const session = await loadGraph(ort, sharedReader('stories260k'), graph)
      const decoder = openDecoder(readDecoderPorts(session), bounds)
      const golden = (sharedJson('stories260k', 'expected.json') as Golden).cases.filter(({ model }) => model === graph)
      expect(golden.length).toBeGreaterThan(0)
      for (const { prompt_ids, generated_ids } of golden) {
        expect(greedily(decoder, prompt_ids, generated_ids.length)).toEqual(generated_ids)
      }
      session.release()
    },
  )

  it('keeping what was read gives the tokens of reading all again', async () => {
    const session = await loadGraph(ort, sharedReader('stories260k'), 'onnx/model.onnx')
    const tokens = [1, 403, 407, 261, 378]
    const cached = greedily(openDecoder(readDecoderPorts(session), bounds), tokens, 24)
    for (const expected of cached) {
      expect(likeliest(readingAll(session, tokens))).toBe(expected)
      tokens.push(expected)
    }
    session.release()
  })
})

/** The logits after all tokens, read at once with nothing kept. */
function readingAll(session: OrtSession, tokens: readonly number[]): Float32Array {
  const integers = (values: readonly number[]) =>
    tensorOf('int64', [1, values.length], BigInt64Array.from(values, BigInt))
  const empty = session.inputs
    .filter(({ name }) => name.startsWith('past'))
    .map(({ name }) => [name, tensorOf('float32', [1, 4, 0, 8], new Float32Array())] as const)
  const { logits } = session.run(
    {
      input_ids: integers(tokens),
      attention_mask: integers(tokens.map(() => 1)),
      position_ids: integers([...tokens.keys()]),
      ...Object.fromEntries(empty),
    },
    ['logits'],
  )
  if (logits?.dtype !== 'float32') throw new Error('no logits')
  return new Float32Array(logits.bytes.buffer).subarray(-512)
}

describe.for([tinyStories, story])('$name', ({ missing, reader, graph, kind }) => {
  const prompts = [[1, 403, 407], [1, 5, 300, 261, 378, 410, 12], [9], [1, 403, 407, 261, 378]]
  let session: OrtSession
  let decoder: Decoder

  beforeAll(async () => {
    if (missing) return
    session = await loadGraph(ort, reader(), graph)
    decoder = openDecoder(readDecoderPorts(session), bounds)
  })

  it('is recognised by what the graph does', ({ skip }) => {
    skip(missing !== '', missing)
    expect(decoder.kind).toBe(kind)
  })

  it('rows of different lengths step together to the bits of each alone', ({ skip }) => {
    skip(missing !== '', missing)
    const alone = prompts.map((prompt) => logitsOf(decoder, prompt, 6))
    const rows = prompts.map(() => decoder.open())
    const together = rows.map((row, index) => [decoder.read(row, prompts[index]!)])
    for (let step = 1; step < 6; step++) {
      const logits = decoder.step(
        rows,
        rows.map((_, index) => step + index),
      )
      for (const [index, each] of logits.entries()) together[index]!.push(each.slice())
    }
    expect(together).toEqual(alone.map((_, index) => logitsOf(decoder, prompts[index]!, 6, index)))
    for (const row of rows) decoder.close(row)
  })

  it('rows that join, branch, wait and leave change nothing in the others', ({ skip }) => {
    skip(missing !== '', missing)
    const expected = logitsOf(decoder, prompts[1]!, 40, 1)
    const first = decoder.open()
    decoder.read(first, prompts[0]!)
    const watched = decoder.open()
    const seen = [decoder.read(watched, prompts[1]!)]
    const others: DecoderRow[] = []
    for (let step = 1; step < 40; step++) {
      if (step % 5 === 0) others.push(step % 2 ? decoder.open() : decoder.fork(watched))
      for (const row of others) if (row.length === 0) decoder.read(row, prompts[3]!)
      if (step % 7 === 0) decoder.close(others.shift()!)
      // Every third step the row before and some behind it sit out, so that rows change places.
      const chosen = step % 3 === 0 ? [watched, ...others.slice(1)] : [first, ...others, watched]
      const logits = decoder.step(
        chosen,
        chosen.map((row) => (row === watched ? step + 1 : 7)),
      )
      seen.push(logits[chosen.indexOf(watched)]!.slice())
    }
    expect(seen).toEqual(expected)
    for (const row of [first, watched, ...others]) decoder.close(row)
  })

  it('a branch goes on like its origin', ({ skip }) => {
    skip(missing !== '', missing)
    const row = decoder.open()
    decoder.read(row, prompts[1]!)
    const copy = decoder.fork(row)
    const [left, right] = decoder.step([row, copy], [5, 5])
    expect(right).toEqual(left)
    decoder.close(row)
    const [further] = decoder.step([copy], [6]).map((logits) => logits.slice())
    expect(further).toEqual(logitsOf(decoder, prompts[1]!, 3, 0, [5, 6]).at(-1))
    decoder.close(copy)
  })

  it('kept blocks stand in for reading', ({ skip }) => {
    skip(missing !== '', missing)
    const tokens = Array.from({ length: 40 }, (_, index) => (index * 37) % 500)
    const row = decoder.open()
    for (const at of [0, 16]) decoder.read(row, tokens.slice(at, at + 16))
    const blocks = [decoder.save(row, 0, 16), decoder.save(row, 16, 16)]
    const expected = decoder.read(row, tokens.slice(32))
    const again = decoder.open()
    decoder.restore(again, blocks, 16)
    expect(again.length).toBe(32)
    expect(decoder.read(again, tokens.slice(32))).toEqual(expected)
    for (const block of blocks) ort.free(block)
    decoder.close(row)
    decoder.close(again)
  })

  it('gives all of its memory back', ({ skip }) => {
    skip(missing !== '', missing)
    decoder.reset()
    let before = 0
    for (let round = 0; round < 4; round++) {
      if (round === 1) before = nextBlock(ort)
      const rows = prompts.map(() => decoder.open())
      for (const [index, row] of rows.entries()) decoder.read(row, prompts[index]!)
      decoder.step(
        rows,
        rows.map(() => 1),
      )
      decoder.reset()
    }
    expect(nextBlock(ort)).toBe(before)
  })
})

/** Logits after the prompt and after each of the next tokens, which are `step + offset` unless given. */
function logitsOf(
  decoder: Decoder,
  prompt: readonly number[],
  count: number,
  offset = 0,
  tokens = Array.from({ length: count - 1 }, (_, step) => step + 1 + offset),
): Float32Array[] {
  const row = decoder.open()
  const logits = [decoder.read(row, prompt)]
  for (const token of tokens) logits.push(decoder.step([row], [token])[0]!.slice())
  decoder.close(row)
  return logits
}

describe('graphs that append in place', () => {
  const prompts = [[7, 8, 9], [1], [30, 2, 2, 5]]

  it.each([
    ['together', false],
    ['each row alone', true],
  ] as const)('step %s, by what their rows do to each other', (_, mixesRows) => {
    const session = open(tinyDecoder({ mixesRows }))
    const decoder = openDecoder(readDecoderPorts(session), { positions: 400, cacheBytes: 2 ** 20, rows: 8 })
    expect(decoder.kind).toBe(mixesRows ? 'in place, each row alone' : 'in place, rows together')

    const alone = prompts.map((prompt, index) => logitsOf(decoder, prompt, 100, 0, tokensAfter(index)))
    const rows = prompts.map(() => decoder.open())
    const together = rows.map((row, index) => [decoder.read(row, prompts[index]!)])
    for (let step = 0; step < 99; step++) {
      const tokens = rows.map((_, index) => tokensAfter(index)[step]!)
      for (const [index, logits] of decoder.step(rows, tokens).entries()) together[index]!.push(logits.slice())
    }
    expect(together).toEqual(alone)
    decoder.reset()
    session.release()
  })

  it('hold no more tokens than their memory', () => {
    const session = open(tinyDecoder({ mixesRows: false }))
    const decoder = openDecoder(readDecoderPorts(session), { positions: 400, cacheBytes: 128 * 100, rows: 2 })
    expect([decoder.bytesPerToken, decoder.contextTokens]).toEqual([128, 100])
    expect([[100], [50, 50], [51, 10], [1, 1, 1]].map((lengths) => decoder.fits(lengths))).toEqual([
      true,
      true,
      false,
      false,
    ])
    session.release()
  })

  it('take no more heap than their share, however many rows of whatever length come and go', () => {
    const session = open(tinyDecoder({ mixesRows: false }))
    const decoder = openDecoder(readDecoderPorts(session), { positions: 8_000, cacheBytes: 2 ** 20, rows: 16 })
    const expected = prompts.map((prompt) => logitsOf(decoder, prompt, 2))
    const heaps = [1, 8, 2, 16, 1, 8].map((count, round) => {
      const rows = Array.from({ length: count }, () => decoder.open())
      for (const [index, row] of rows.entries()) {
        decoder.makeRoom(row, Math.floor(8_000 / count) - round)
        expect(decoder.read(row, prompts[index % 3]!)).toEqual(expected[index % 3]![0])
      }
      const logits = decoder.step(rows, rows.map(() => 1)) // biome-ignore format: one line reads better
      for (const [index, each] of logits.entries()) expect(each).toEqual(expected[index % 3]![1])
      for (const row of rows) decoder.close(row)
      // What others take in between does not get in the way.
      ort.malloc(4_096)
      return ort.heapBytes
    })
    expect(new Set(heaps).size).toBe(1)
    session.release()
  })

  it('take what a nearly full heap still has, and answer with that', () => {
    const session = open(tinyDecoder({ mixesRows: false }))
    const decoder = openDecoder(readDecoderPorts(session), { positions: 2 ** 20, cacheBytes: 2 ** 26, rows: 4 })
    ort.heapLimitBytes = ort.heapBytes + 2 ** 24
    try {
      const [logits] = logitsOf(decoder, prompts[0]!, 1)
      expect(logits!.every(Number.isFinite)).toBe(true)
      expect(ort.refusedBytes).toBe(0)
      expect([decoder.fits([2 ** 16]), decoder.fits([2 ** 19])]).toEqual([true, false])
    } finally {
      ort.heapLimitBytes = Number.POSITIVE_INFINITY
    }
    session.release()
  })

  function tokensAfter(offset: number): number[] {
    return Array.from({ length: 99 }, (_, step) => (step * 5 + offset) % 32)
  }
})

describe('graphs that continue nothing', () => {
  const tokens = { name: 'input_ids', dtype: 'int64', shape: ['rows', 'tokens'] } as const
  const logits = { name: 'logits', dtype: 'float32', shape: ['rows', 'tokens'] } as const
  const past = { name: 'past_key_values.0.key', dtype: 'float32', shape: ['rows', 'heads', 'past', 4] } as const

  it.each([
    ['keep no keys and values', [tokens], logits, /keeps no keys and values/],
    ['give logits that are integers', [tokens], { ...logits, dtype: 'int64' }, /"logits" is int64/],
    ['read no tokens', [{ ...tokens, name: 'pixels' }], logits, /no input "input_ids"/],
    ['read tokens that are no integers', [{ ...tokens, dtype: 'float64' }], logits, /"input_ids" is float64/],
    ['need something else', [tokens, { ...tokens, name: 'pixels' }], logits, /needs an input "pixels"/],
    ['do not say how many heads they have', [tokens, past], logits, /\[rows, heads, past, 4\]/],
  ] as const)('are refused: those that %s', (_, inputs, output, message) => {
    const to = dtypes[output.dtype].onnx
    const cast = { operator: 'Cast', inputs: [inputs[0].name], outputs: ['logits'], attributes: { to } }
    const outputs = [
      output,
      ...inputs.slice(1).map((port) => ({ ...port, name: port.name.replace('past_key_values', 'present') })),
    ]
    const copies = inputs
      .slice(1)
      .filter(({ name }) => name !== 'pixels')
      .map(({ name }, index) => ({ operator: 'Identity', inputs: [name], outputs: [outputs[index + 1]!.name] }))
    const session = open(
      onnxModel({ nodes: [cast, ...copies], inputs, outputs: outputs.filter(({ name }) => name !== 'pixels') }),
    )
    expect(() => readDecoderPorts(session)).toThrow(message)
    session.release()
  })
})

function open(bytes: Uint8Array): OrtSession {
  const pointer = ort.malloc(bytes.byteLength)
  ort.view(pointer, bytes.byteLength).set(bytes)
  return createSession(ort, { pointer, sizeBytes: bytes.byteLength })
}
