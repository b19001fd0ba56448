import { beforeAll, describe, expect, it } from 'vitest'
import type { ServedModel } from '#contracts/served-model.ts'
import { type NumericTensor, type StringTensor, valuesOf } from '#contracts/tensor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { rerankTask } from '#src/engine/tasks/rerank.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { rerankerFiles } from '../support/onnx-model.ts'
import { memoryReader } from '../support/shared-models.ts'

const load = async (config: object): Promise<ServedModel> =>
  loadModel(await bootNodeOrt(), rerankTask, {
    reader: memoryReader(Object.fromEntries(rerankerFiles(config).map(({ path, bytes }) => [path, bytes]))),
    graph: 'model.onnx',
    options: { batchInvariant: true },
  })
const strings = (shape: number[], ...values: string[]): StringTensor => ({ dtype: 'string', shape, strings: values })
const sigmoid = (value: number) => expect.closeTo(1 / (1 + Math.exp(-value)), 5)
const numbers = (tensor: unknown) => Array.from(valuesOf(tensor as NumericTensor), Number)

describe('rerank', () => {
  let model: ServedModel
  beforeAll(async () => {
    model = await load({})
  })

  it('gives each pair a score, in the order of the pairs', async () => {
    const inputs = { text: strings([2], 'one', 'one'), text_pair: strings([2], 'two', 'three three') }
    const { outputs, rows, usage } = await model.invoke({ inputs, params: {} })
    expect(numbers(outputs.score)).toEqual([sigmoid(0.03), sigmoid(0.07)])
    expect([outputs.score!.shape, rows, usage.promptTokens]).toEqual([[2], undefined, 5])
  })

  const inputs = {
    query: strings([2], 'one', 'two'),
    documents: strings([2, 3], 'two', 'three three', 'one', 'three', 'one', 'two'),
  }

  it('gives each query its documents, the best first', async () => {
    const { outputs, rows } = await model.invoke({ inputs, params: {} })
    expect(rows).toEqual([
      [
        { index: 1, score: sigmoid(0.07) },
        { index: 0, score: sigmoid(0.03) },
        { index: 2, score: sigmoid(0.02) },
      ],
      [
        { index: 0, score: sigmoid(0.05) },
        { index: 2, score: sigmoid(0.04) },
        { index: 1, score: sigmoid(0.03) },
      ],
    ])
    expect([numbers(outputs.index), outputs.index!.shape]).toEqual([
      [1, 0, 2, 0, 2, 1],
      [2, 3],
    ])
  })

  it('top_n and return_documents are followed', async () => {
    const { rows } = await model.invoke({ inputs, params: { top_n: 1, return_documents: true } })
    expect(rows).toEqual([
      [{ index: 1, score: sigmoid(0.07), document: 'three three' }],
      [{ index: 0, score: sigmoid(0.05), document: 'three' }],
    ])
  })

  it("the model's configuration, and then the request, says what makes the score", async () => {
    const raw = await load({ sentence_transformers: { activation_fn: 'torch.nn.modules.linear.Identity' } })
    const pair = { text: strings([1], 'one'), text_pair: strings([1], 'one') }
    const scoreOf = async (served: ServedModel, params = {}) =>
      numbers((await served.invoke({ inputs: pair, params })).outputs.score)
    expect(await scoreOf(raw)).toEqual([expect.closeTo(0.02, 6)])
    expect(await scoreOf(raw, { function_to_apply: 'sigmoid' })).toEqual([sigmoid(0.02)])
  })

  it.each([
    ['text without text_pair', { text: strings([1], 'one') }, 'text_pair'],
    ['query without documents', { query: strings([1], 'one') }, 'documents'],
    ['documents without query', { documents: strings([1, 1], 'one') }, 'query'],
    ['both forms', { ...inputs, text: strings([2], 'a', 'b') }, 'text'],
    ['lists for other queries', { ...inputs, query: strings([1], 'one') }, 'documents'],
  ])('refuses %s by name', async (_, given, field) => {
    await expect(model.invoke({ inputs: given, params: {} })).rejects.toMatchObject({ status: 400, field })
  })
})
