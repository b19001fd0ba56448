/** Answers never depend on who else asks: each row has the same bits alone and under random concurrent arrival. */
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { isServingError } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import type { NumericTensor } from '#contracts/tensor.ts'
import { activationBytes, rowsThatFit } from '#src/engine/activation-memory.ts'
import { readModelConfig } from '#src/engine/model-config.ts'
import { nextTurn } from '#src/engine/next-turn.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { OrtSession } from '#src/engine/ort/session.ts'
import type { LoadedTask, TaskDefinition } from '#src/engine/task-definition.ts'
import { featureExtractionTask } from '#src/engine/tasks/feature-extraction.ts'
import { textClassificationTask } from '#src/engine/tasks/text-classification.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { folderReader, overlayReader } from '../support/shared-models.ts'

const starter = (name: string) => folderReader(fileURLToPath(new URL(`../../models/${name}`, import.meta.url)))

async function load(task: TaskDefinition, reader: ArtifactReader, batchInvariant: boolean) {
  const ort = await bootNodeOrt()
  const session = await loadGraph(ort, reader, 'onnx/model_quantized.onnx')
  return { session, task: await task.load({ ort, session, reader, options: { batchInvariant } }) }
}

/** Counts the runs of a session. */
function countRuns(session: OrtSession): { runs: number } {
  const counted = { runs: 0 }
  const runHandles = session.runHandles.bind(session)
  session.runHandles = (...given) => {
    counted.runs += 1
    return runHandles(...given)
  }
  return counted
}

/** A small generator with a fixed seed. */
function newRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const words =
  'my card was stolen where is the new one please why did this payment fail again top up limit abroad'.split(' ')
const textsFor = (random: (below: number) => number, count: number) =>
  Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(12) }, () => words[random(words.length)]!).join(' '),
  )
const ask = (task: LoadedTask, texts: readonly string[], signal?: AbortSignal) =>
  Promise.resolve(
    task.invoke({ inputs: { text: { dtype: 'string', shape: [texts.length], strings: texts } }, params: {} }, signal),
  )
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** One answer per row, as the bits of its numbers. */
async function answers(task: LoadedTask, texts: readonly string[]): Promise<string[]> {
  const { outputs } = await ask(task, texts)
  const { bytes } = (outputs.embedding ?? outputs.score) as NumericTensor
  const size = bytes.byteLength / texts.length
  return texts.map((_, row) => hex(bytes.subarray(row * size, (row + 1) * size)))
}

describe.each([
  { name: 'embed', task: featureExtractionTask, invariant: true },
  { name: 'language', task: textClassificationTask, invariant: true },
  { name: 'intent', task: textClassificationTask, invariant: false },
])('the starter model $name', ({ name, task, invariant }) => {
  let loaded: Awaited<ReturnType<typeof load>>
  beforeAll(async () => {
    loaded = await load(task, starter(name), invariant)
  })

  it(`is measured to be ${invariant ? '' : 'not '}batch-invariant`, () => {
    expect(loaded.task.measure!()).toEqual({
      maxTokens: expect.any(Number),
      maxBatch: invariant ? 32 : 1,
      batchInvariant: invariant,
      devices: ['wasm'],
      memoryBytes: loaded.session.ort.heapBytes,
    })
  })

  it('answers each row with the same bits alone and under random concurrent arrival', async () => {
    const random = newRandom(7)
    const requests = Array.from({ length: 60 }, () => textsFor(random, 1 + random(5)))
    const alone = new Map<string, string>()
    for (const text of new Set(requests.flat())) alone.set(text, (await answers(loaded.task, [text]))[0]!)

    const counted = countRuns(loaded.session)
    const waves: Promise<void>[] = []
    for (const texts of requests) {
      const checked = answers(loaded.task, texts).then((got) => {
        expect(got).toEqual(texts.map((text) => alone.get(text)))
      })
      waves.push(checked)
      if (random(4) === 0) await nextTurn()
    }
    await Promise.all(waves)
    const rows = requests.flat().length
    if (invariant) expect(counted.runs).toBeLessThan(0.8 * rows)
    else expect(counted.runs).toBe(rows)
  })
})

describe('a text model', () => {
  it('refuses more rows than a reply has room for, before it runs one', async () => {
    const { session, task } = await load(featureExtractionTask, starter('embed'), true)
    const counted = countRuns(session)
    await expect(ask(task, Array<string>(10_923).fill('a'))).rejects.toThrow(
      'text: 10923 rows came; a reply holds 10922 vectors of 384 numbers',
    )
    expect(counted.runs).toBe(0)
  })

  it('that stops the engine is no model to register', async () => {
    const { session, task } = await load(featureExtractionTask, starter('embed'), false)
    const { ort } = session
    // Past at the first look at the clock, however fast the machine is.
    ort.callLimit.limitMs = -1
    expect(() => task.measure!()).toThrow('The model failed on texts of up to 512 tokens: ')
    expect(ort.trapped).toBeDefined()
  })

  it('does not run what nobody waits for any more', async () => {
    const { session, task } = await load(featureExtractionTask, starter('embed'), true)
    const counted = countRuns(session)
    const caller = new AbortController()
    const given = ask(task, ['hello'], caller.signal)
    caller.abort()
    await expect(given).rejects.toSatisfy((error) => isServingError(error) && error.code === 'CANCELLED')
    expect(counted.runs).toBe(0)
  })

  it('leaves nothing in the heap after a run', async () => {
    const { session, task } = await load(featureExtractionTask, starter('embed'), true)
    const { ort } = session
    const nextBlock = () => {
      const block = ort.malloc(1_000)
      ort.free(block)
      return block
    }
    await ask(task, Array<string>(20).fill('the largest batch of this test comes first'))
    const texts = ['a', 'a b c', 'the largest batch of this test']
    // ORT keeps a plan of the memory of each shape that it has seen.
    await ask(task, texts)
    const before = [ort.heapBytes, nextBlock()]
    for (let round = 0; round < 50; round++) await ask(task, texts)
    expect([ort.heapBytes, nextBlock()]).toEqual(before)
  })

  it('lets memory bound the rows of a run, never the length of a text', async () => {
    const config = await readModelConfig(
      overlayReader({ 'config.json': '{"hidden_size":384,"num_attention_heads":12}' }, starter('embed')),
    )
    expect(rowsThatFit(activationBytes(5, 64, config), 64, config)).toBe(5)
    expect(rowsThatFit(-1, 64, config)).toBe(1)
    expect(rowsThatFit(1, 64, { ...config, hiddenSize: undefined, heads: undefined })).toBe(Number.POSITIVE_INFINITY)
    const ort = await bootNodeOrt()
    const reader = starter('embed')
    const session = await loadGraph(ort, reader, 'onnx/model_quantized.onnx')
    const loaded = (heapLimitBytes: number) =>
      featureExtractionTask.load({ ort, session, reader, options: { batchInvariant: true }, heapLimitBytes })
    const long = ['card '.repeat(600)]
    expect(await answers(await loaded(1), long)).toEqual(await answers(await loaded(1e9), long))
    // Measured: 33 MiB with the model loaded, 40, 57 and 72 after these runs.
    const mib = (rows: number, tokens: number) => activationBytes(rows, tokens, config) / 2 ** 20
    expect(mib(1, 128)).toBeLessThan(7)
    expect(mib(8, 128)).toBeGreaterThan(20)
    expect(mib(1, 512)).toBeGreaterThan(33)
  })
})
