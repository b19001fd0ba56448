/**
 * How well documents answer queries, by a model that reads both together (a cross-encoder).
 *
 * Two forms: `text` and `text_pair` are pairs and give one score each, in their order; `query` and `documents` give per query its
 * documents in falling order of their scores.
 */
import { invalidParameter, modelFailed } from '#contracts/errors.ts'
import type { InvocationReply, InvocationUsage } from '#contracts/invocation.ts'
import { scoreFunctions, taskSignature } from '#contracts/task-signatures.ts'
import { elementCount, type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { measureText } from '../measure-text.ts'
import { readModelConfig } from '../model-config.ts'
import { booleanParam, choiceParam, integerParam, type Params } from '../params.ts'
import { isObject, type JsonObject, readJson } from '../read-artifact.ts'
import { type ScoreFunction, scoresOf } from '../scores.ts'
import type { TaskDefinition } from '../task-definition.ts'
import { type TextRow, textRows } from '../text-columns.ts'
import { loadTextModel } from '../text-model.ts'
import type { RowOutput } from '../token-run.ts'

interface Ranked {
  index: number
  score: number
  document?: string
}

export const rerankTask: TaskDefinition = {
  task: 'rerank',
  async load({ session, reader, options, heapLimitBytes }) {
    const config = await readModelConfig(reader)
    const byDefault = functionOf((await readJson(reader, 'config.json')) ?? {})
    const output = session.outputs.find((port) => port.name === 'logits') ?? session.outputs[0]!
    const batchInvariant = booleanParam(options, 'batchInvariant') ?? false
    const model = await loadTextModel(session, reader, { config, output, batchInvariant, heapLimitBytes })
    return {
      signature: taskSignature('rerank'),
      measure: () => measureText(model, session),
      async invoke({ inputs, params }, signal) {
        const apply = choiceParam(params, 'function_to_apply', scoreFunctions) ?? byDefault
        const groups = inputs.query || inputs.documents ? documentGroups(inputs) : undefined
        const pairs = groups ? groups.flat() : requirePairs(inputs)
        const startedMs = performance.now()
        const read = ({ shape, values }: RowOutput) => {
          if (elementCount(shape) === 1) return scoresOf(values, apply)[0]!
          throw modelFailed(
            `The graph's output "${output.name}" has shape [1, ${shape.join(', ')}]; a reranker gives one number per pair.`,
          )
        }
        const { outputs: scores, promptTokens } = await model.run(pairs, read, signal)
        const usage = { promptTokens, runMs: performance.now() - startedMs, loadMs: 0 }
        if (groups) return rankedReply(groups, scores, params, usage)
        return { outputs: { score: tensorOf('float32', [scores.length], Float32Array.from(scores)) }, usage }
      },
    }
  },
}

function rankedReply(
  groups: readonly (readonly TextRow[])[],
  scores: readonly number[],
  params: Params,
  usage: InvocationUsage,
): InvocationReply {
  const top = integerParam(params, 'top_n', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY
  const withDocuments = booleanParam(params, 'return_documents') ?? false
  let at = 0
  const rows = groups.map((pairs) => {
    const ranked = pairs.map(
      ({ pair }, index): Ranked => ({ index, score: scores[at++]!, ...(withDocuments ? { document: pair! } : {}) }),
    )
    return ranked.sort((left, right) => right.score - left.score).slice(0, top)
  })
  const flat = rows.flat()
  const shape = [rows.length, rows[0]?.length ?? 0]
  const outputs = {
    score: tensorOf(
      'float32',
      shape,
      Float32Array.from(flat, ({ score }) => score),
    ),
    index: tensorOf(
      'int32',
      shape,
      Int32Array.from(flat, ({ index }) => index),
    ),
  }
  return { outputs, rows, usage }
}

/** Per query its pairs. */
function documentGroups({ query, documents, text, text_pair }: NamedTensors): TextRow[][] {
  if (text || text_pair) throw invalidParameter('text', 'give text and text_pair, or query and documents, not both')
  if (query?.dtype !== 'string') throw invalidParameter('query', 'texts are required beside documents')
  if (documents?.dtype !== 'string') throw invalidParameter('documents', 'a list of texts per query is required')
  const [rows = 0, size = 0] = documents.shape
  if (rows !== query.strings.length)
    throw invalidParameter('documents', `${rows} lists came for the ${query.strings.length} queries`)
  return query.strings.map((text, row) =>
    documents.strings.slice(row * size, (row + 1) * size).map((pair) => ({ text, pair })),
  )
}

function requirePairs(inputs: NamedTensors): TextRow[] {
  if (!inputs.text_pair)
    throw invalidParameter('text_pair', 'this column is required beside text; or give query and documents')
  return textRows(inputs)
}

/** sentence-transformers names a class of PyTorch; a sigmoid is its default for one label. */
function functionOf(config: JsonObject): ScoreFunction {
  const own = isObject(config.sentence_transformers) ? config.sentence_transformers.activation_fn : undefined
  const name = own ?? config.sbert_ce_default_activation_function
  return typeof name === 'string' && name.endsWith('Identity') ? 'none' : 'sigmoid'
}
