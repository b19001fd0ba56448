import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ArtifactReader, ServedModel } from '#contracts/served-model.ts'
import { type NumericTensor, type StringTensor, valuesOf } from '#contracts/tensor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { readModelConfig } from '#src/engine/model-config.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { TaskDefinition } from '#src/engine/task-definition.ts'
import { featureExtractionTask } from '#src/engine/tasks/feature-extraction.ts'
import { textClassificationTask } from '#src/engine/tasks/text-classification.ts'
import { loadTextModel } from '#src/engine/text-model.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  overlayReader,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const classifier = 'fixture-bert-random-sequence_classification'
const embedder = 'fixture-bert-random-sentence_embedding'
const hello = 'Hello world, this is a test.'
const fox = 'The quick brown fox jumps over the lazy dog!'
const fixture = (name: string) =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`../fixtures/onnx/${name}`, import.meta.url))))

let ort: Ort
beforeAll(async () => {
  ort = await bootNodeOrt()
})

const column = (strings: readonly string[]): StringTensor => ({ dtype: 'string', shape: [strings.length], strings })
const floats = (tensor: unknown) => Array.from(valuesOf(tensor as NumericTensor), Number)

function load(
  task: TaskDefinition,
  reader: ArtifactReader,
  options: Record<string, unknown> = {},
): Promise<ServedModel> {
  return loadModel(ort, task, { reader, graph: 'onnx/model.onnx', options })
}

/** The first expected output of a shared model's case. */
function expectedData(model: string, index: number): number[] {
  const { cases } = sharedJson(model, 'expected.json') as { cases: { outputs: Record<string, { data: number[] }> }[] }
  return Object.values(cases[index]!.outputs)[0]!.data
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector)
  return vector.map((value) => value / length)
}

describe.skipIf(!haveSharedModels)(`text-classification (${withoutSharedModels})`, () => {
  it('gives the best label of each row, and the same as tensors', async () => {
    const model = await load(textClassificationTask, sharedReader(classifier))
    const { rows, outputs, usage } = await model.invoke({ inputs: { text: column([hello, fox]) }, params: {} })
    const [good = 0, bad = 0] = expectedData(classifier, 0)
    const score = 1 / (1 + Math.exp(bad - good))
    expect(rows).toEqual([
      [{ label: 'good', score: expect.closeTo(score, 5) }],
      [{ label: 'good', score: expect.closeTo(score, 3) }],
    ])
    expect(outputs.label).toEqual({ dtype: 'string', shape: [2, 1], strings: ['good', 'good'] })
    expect(floats(outputs.score)).toEqual(rows!.map((row) => (row as { score: number }[])[0]!.score))
    expect(usage).toMatchObject({ promptTokens: 22, loadMs: 0 })
  })

  it('top_k 0 and null mean all labels, in falling order', async () => {
    const model = await load(textClassificationTask, sharedReader(classifier))
    for (const top_k of [0, null, 2, 100]) {
      const { rows, outputs } = await model.invoke({ inputs: { text: column([hello]) }, params: { top_k } })
      expect(rows).toMatchObject([[{ label: 'good' }, { label: 'bad' }]])
      expect(outputs.score!.shape).toEqual([1, 2])
    }
    await expect(model.invoke({ inputs: { text: column([hello]) }, params: { top_k: 1.5 } })).rejects.toThrow(
      'top_k: 1.5 is no integer',
    )
  })

  it('function_to_apply and problem_type choose between softmax, sigmoid and raw numbers', async () => {
    const raw = await load(textClassificationTask, sharedReader(classifier))
    const ask = (params: object) => raw.invoke({ inputs: { text: column([hello]) }, params: { top_k: 0, ...params } })
    const logits = expectedData(classifier, 0)
    const { outputs } = await ask({ function_to_apply: 'none' })
    expect(floats(outputs.score)).toEqual(logits.map((value) => expect.closeTo(value, 5)))
    const multi = overlayReader(
      { 'config.json': '{"problem_type":"multi_label_classification"}' },
      sharedReader(classifier),
    )
    const { rows } = await (await load(textClassificationTask, multi)).invoke({
      inputs: { text: column([hello]) },
      params: {},
    })
    expect(rows).toEqual([[{ label: 'LABEL_0', score: expect.closeTo(1 / (1 + Math.exp(-logits[0]!)), 5) }]])
    await expect(ask({ function_to_apply: 'tanh' })).rejects.toThrow(
      'function_to_apply: "tanh" is none of none, softmax, sigmoid',
    )
  })

  it('refuses a graph that labels tokens', async () => {
    const model = await load(textClassificationTask, sharedReader('fixture-bert-random-token_classification'))
    await expect(model.invoke({ inputs: { text: column([hello]) }, params: {} })).rejects.toThrow(
      'one number per label was expected',
    )
  })

  it('names the column at fault', async () => {
    const model = await load(textClassificationTask, sharedReader(classifier))
    await expect(model.invoke({ inputs: {}, params: {} })).rejects.toMatchObject({ status: 400, field: 'text' })
    const inputs = { text: column([hello]), text_pair: column([]) }
    await expect(model.invoke({ inputs, params: {} })).rejects.toMatchObject({ status: 400, field: 'text_pair' })
  })

  it('no rows give no rows', async () => {
    const model = await load(textClassificationTask, sharedReader(classifier))
    expect(await model.invoke({ inputs: { text: column([]) }, params: {} })).toMatchObject({
      rows: [],
      usage: { promptTokens: 0 },
    })
  })
})

describe.skipIf(!haveSharedModels)(`feature-extraction (${withoutSharedModels})`, () => {
  const tokens = () => {
    const data = expectedData(embedder, 0)
    return Array.from({ length: data.length / 16 }, (_, at) => data.slice(at * 16, (at + 1) * 16))
  }
  const mean = () =>
    tokens()[0]!.map((_, index) => tokens().reduce((sum, token) => sum + token[index]!, 0) / tokens().length)
  const close = (vector: readonly number[]) => vector.map((value) => expect.closeTo(value, 4))
  const embed = async (options: Record<string, unknown>, params = {}, texts = [hello]) => {
    const model = await load(featureExtractionTask, sharedReader(embedder), options)
    return (await model.invoke({ inputs: { text: column(texts) }, params })).outputs.embedding as NumericTensor
  }

  it('the mean over the tokens at unit length is the default', async () => {
    const embedding = await embed({})
    expect(embedding.shape).toEqual([1, 16])
    expect(floats(embedding)).toEqual(close(unit(mean())))
  })

  it('pooling and normalize are fixed by options', async () => {
    expect(floats(await embed({ normalize: false }))).toEqual(close(mean()))
    expect(floats(await embed({ pooling: 'cls', normalize: false }))).toEqual(close(tokens()[0]!))
    expect(floats(await embed({ pooling: 'last' }))).toEqual(close(unit(tokens().at(-1)!)))
    await expect(embed({ pooling: 'median' })).rejects.toThrow('pooling: "median" is none of')
  })

  it("the model's own pooling file is followed", async () => {
    const reader = overlayReader(
      { '1_Pooling/config.json': '{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}' },
      sharedReader(embedder),
    )
    const model = await load(featureExtractionTask, reader)
    const { outputs } = await model.invoke({ inputs: { text: column([hello]) }, params: {} })
    expect(floats(outputs.embedding)).toEqual(close(unit(tokens()[0]!)))
    const odd = overlayReader(
      { '1_Pooling/config.json': '{"pooling_mode_weightedmean_tokens":true}' },
      sharedReader(embedder),
    )
    await expect(load(featureExtractionTask, odd)).rejects.toThrow(
      'pooling_mode_weightedmean_tokens, which glim cannot pool',
    )
  })

  it('dimensions cut the vector and bring it back to unit length', async () => {
    expect(floats(await embed({}, { dimensions: 4 }))).toEqual(close(unit(mean().slice(0, 4))))
    await expect(embed({}, { dimensions: 17 })).rejects.toThrow('dimensions: 17 is no integer between 1 and 16')
    await expect(embed({}, { dimensions: 0 })).rejects.toMatchObject({ status: 400, field: 'dimensions' })
  })

  it('a text has the same bits alone, among others, and in a group of equal length', async () => {
    const others = [fox, hello, 'a', hello, '', fox]
    const alone = floats(await embed({}))
    for (const options of [{}, { batchInvariant: true }]) {
      const all = floats(await embed(options, {}, others))
      expect(all.slice(16, 32)).toEqual(alone)
      expect(all.slice(48, 64)).toEqual(alone)
    }
  })
})

describe.skipIf(!haveSharedModels)(`tokens that reach the graph (${withoutSharedModels})`, () => {
  /** Runs a graph that gives back its inputs, as `[ids, mask, types, positions]` per row. */
  async function echo(
    graph: string,
    rows: readonly (readonly [string, string?])[],
    files = {},
    batchInvariant = false,
  ) {
    const reader = overlayReader({ 'model.onnx': fixture(graph), ...files }, sharedReader(embedder))
    const session = await loadGraph(ort, reader, 'model.onnx')
    const config = await readModelConfig(reader)
    const model = await loadTextModel(session, reader, { config, output: session.outputs[0]!, batchInvariant })
    const { outputs, promptTokens } = await model.run(
      rows.map(([text, pair]) => ({ text, pair })),
      ({ values, tokens }) => ({
        parts: [0, 1, 2, 3].map((part) => [...values].filter((_, at) => at % 4 === part)),
        tokens,
      }),
    )
    return { rows: outputs.map(({ parts }) => parts), promptTokens, spans: outputs.map(({ tokens }) => tokens) }
  }

  it('a text gets special tokens, a mask and positions', async () => {
    const { rows } = await echo('echo-tokens.onnx', [['hello world']])
    expect(rows).toEqual([
      [
        [101, 7592, 2088, 102],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [0, 1, 2, 3],
      ],
    ])
  })

  it('a pair gets types, also when its second text is empty', async () => {
    const { rows } = await echo('echo-tokens.onnx', [
      ['hello', 'world'],
      ['hello', ''],
    ])
    expect(rows.map(([ids, , types]) => [ids, types])).toEqual([
      [
        [101, 7592, 102, 2088, 102],
        [0, 0, 0, 1, 1],
      ],
      [
        [101, 7592, 102, 102],
        [0, 0, 0, 1],
      ],
    ])
  })

  it('rows come back in order when equal lengths run together', async () => {
    const texts: [string][] = [['hello world'], ['hello'], ['world hello'], ['world']]
    const alone = await echo('echo-tokens.onnx', texts)
    expect(await echo('echo-tokens.onnx', texts, {}, true)).toEqual(alone)
  })

  it('a graph of fixed length is padded in its own dtype, and only real tokens count', async () => {
    const { rows, promptTokens, spans } = await echo('echo-tokens-fixed.onnx', [['hello world']])
    expect(rows[0]!.map((part) => part.slice(2, 6))).toEqual([
      [2088, 102, 0, 0],
      [1, 1, 0, 0],
      [0, 0, 0, 0],
      [2, 3, 0, 0],
    ])
    expect([promptTokens, spans]).toEqual([4, [[0, 4]]])
    const left = await echo('echo-tokens-fixed.onnx', [['hello world']], {
      'tokenizer_config.json': '{"padding_side":"left"}',
    })
    expect(left.rows[0]!.map((part) => part.slice(7))).toEqual([
      [0, 101, 7592, 2088, 102],
      [0, 1, 1, 1, 1],
      [0, 0, 0, 0, 0],
      [0, 0, 1, 2, 3],
    ])
    expect(left.spans).toEqual([[8, 12]])
  })

  it.each([
    ['model_max_length', { 'tokenizer_config.json': '{"model_max_length":5}' }],
    ['max_position_embeddings', { 'config.json': '{"max_position_embeddings":5}' }],
  ])('long texts are cut to %s, the special tokens kept', async (_, files) => {
    const { rows, promptTokens } = await echo('echo-tokens.onnx', [['hello world '.repeat(9)]], files)
    expect(rows[0]![0]).toEqual([101, 7592, 2088, 7592, 102])
    expect(promptTokens).toBe(5)
  })

  it('of a pair the longer text gives way', async () => {
    const files = { 'tokenizer_config.json': '{"model_max_length":8}' }
    const long = 'world '.repeat(20)
    const idsOf = async (text: string, pair: string) =>
      (await echo('echo-tokens.onnx', [[text, pair]], files)).rows[0]![0]
    expect(await idsOf('hello', long)).toEqual([101, 7592, 102, 2088, 2088, 2088, 2088, 102])
    expect(await idsOf(long, 'hello')).toEqual([101, 2088, 2088, 2088, 2088, 102, 7592, 102])
    expect(await idsOf('hello '.repeat(20), long)).toEqual([101, 7592, 7592, 102, 2088, 2088, 2088, 102])
  })

  it.each([
    ['is cut', 'tokenizer.json', '{"version":"1.0","mod', 'is not valid JSON'],
    ['is no tokenizer', 'tokenizer.json', '{"version":"1.0"}', 'is no tokenizer'],
    ['holds a list', 'tokenizer_config.json', '[]', 'holds no JSON object'],
    ['is not UTF-8', 'tokenizer.json', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), 'is not valid UTF-8'],
  ])('a file that %s is named', async (_, path, content, problem) => {
    const reader = overlayReader({ [path]: content }, sharedReader(embedder))
    await expect(load(featureExtractionTask, reader)).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(new RegExp(`"${path}".*${problem}`)),
    })
  })

  it('a graph that needs more than tokens is refused by name', async () => {
    const reader = overlayReader(
      { 'model.onnx': fixture('external.onnx'), 'model.onnx_data': '' },
      sharedReader(embedder),
    )
    const echoReader = overlayReader({ 'onnx/model.onnx': fixture('channel-means.onnx') }, reader)
    await expect(load(featureExtractionTask, echoReader)).rejects.toThrow('no input "input_ids"')
    await expect(load(featureExtractionTask, sharedReader('stories260k'))).rejects.toThrow('past_key_values.0.key')
  })
})
