/** Labels for the tokens of texts, such as the names in them, as the Hugging Face pipeline of that name gives them. */
import { modelFailed } from '#contracts/errors.ts'
import { aggregationStrategies, taskSignature } from '#contracts/task-signatures.ts'
import { type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { type Entity, groupEntities, type LabelledToken } from '../group-entities.ts'
import { measureText } from '../measure-text.ts'
import { readModelConfig } from '../model-config.ts'
import { booleanParam, choiceParam, textParam } from '../params.ts'
import { scoresOf } from '../scores.ts'
import type { TaskDefinition } from '../task-definition.ts'
import { textRows } from '../text-columns.ts'
import { loadTextModel } from '../text-model.ts'
import type { RowOutput } from '../token-run.ts'
import type { Encoding, Tokenizer } from '../tokenizer.ts'

/** What the pipeline leaves out: the label of what is no entity. */
const ignoredByDefault = 'O'

export const tokenClassificationTask: TaskDefinition = {
  task: 'token-classification',
  async load({ session, reader, options, heapLimitBytes }) {
    const config = await readModelConfig(reader)
    const output = session.outputs.find((port) => port.name === 'logits') ?? session.outputs[0]!
    const batchInvariant = booleanParam(options, 'batchInvariant') ?? false
    const model = await loadTextModel(session, reader, { config, output, batchInvariant, heapLimitBytes })
    const { tokenizer } = model
    return {
      signature: taskSignature('token-classification'),
      measure: () => measureText(model, session),
      async invoke(request, signal) {
        const strategy = choiceParam(request.params, 'aggregation_strategy', aggregationStrategies) ?? 'none'
        const ignored = (textParam(request.params, 'ignore_labels') ?? ignoredByDefault).split(',')
        const texts = textRows(request.inputs)
        const startedMs = performance.now()
        const read = (row: RowOutput, encoding: Encoding) => {
          const [tokens, labels, ...more] = row.shape
          if (tokens === undefined || labels === undefined || more.length > 0) {
            throw modelFailed(
              `The graph's output "${output.name}" has shape [1, ${row.shape.join(', ')}]; numbers per token and label were expected.`,
            )
          }
          const [first, end] = encoding.text
          return Array.from({ length: end - first }, (_, at) => {
            const place = (row.tokens[0] + first + at) * labels
            return scoresOf(row.values.subarray(place, place + labels), 'softmax')
          })
        }
        const run = await model.run(texts, (row, encoding) => ({ scores: read(row, encoding), encoding }), signal)
        const rows = run.outputs.map(({ scores, encoding }, row) =>
          groupEntities(labelledTokens(texts[row]!.text, encoding, scores, tokenizer), {
            strategy,
            labels: config.labels,
            textOf: tokenizer.textOf,
          }).filter(({ entity, entity_group }) => !ignored.includes(entity ?? entity_group ?? '')),
        )
        return {
          outputs: entityTensors(rows),
          rows,
          usage: { promptTokens: run.promptTokens, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

function labelledTokens(
  text: string,
  { tokens, firstKept, text: [first] }: Encoding,
  scores: readonly Float32Array[],
  { spansOf, continuation, unknownToken }: Tokenizer,
): LabelledToken[] {
  const spans = spansOf(text, tokens)
  return scores.map((own, at) => {
    const token = tokens[firstKept + at]!
    const [start, end] = spans[firstKept + at]!
    const isUnknown = token === unknownToken
    const isSubword = continuation
      ? token.startsWith(continuation)
      : start > 0 && !/\s/.test(text.slice(start - 1, start + 1))
    return {
      word: isUnknown ? text.slice(start, end) : token,
      scores: own,
      start,
      end,
      index: first + at,
      isSubword: isSubword && !isUnknown,
    }
  })
}

/** All entities of all rows one after another, with the row of each. */
function entityTensors(rows: readonly (readonly Entity[])[]): NamedTensors {
  const all = rows.flatMap((entities, row) => entities.map((entity) => ({ ...entity, row })))
  const shape = [all.length]
  const strings = (values: string[]) => ({ dtype: 'string' as const, shape, strings: values })
  const integers = (values: number[]) => tensorOf('int32', shape, Int32Array.from(values))
  return {
    row: integers(all.map(({ row }) => row)),
    entity: strings(all.map(({ entity, entity_group }) => entity ?? entity_group ?? '')),
    score: tensorOf(
      'float32',
      shape,
      Float32Array.from(all, ({ score }) => score),
    ),
    word: strings(all.map(({ word }) => word)),
    start: integers(all.map(({ start }) => start)),
    end: integers(all.map(({ end }) => end)),
  }
}
