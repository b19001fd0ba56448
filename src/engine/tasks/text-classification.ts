/** Labels for texts or pairs of texts, as the Hugging Face pipeline of that name gives them. */
import { scoreFunctions, taskSignature } from '#contracts/task-signatures.ts'
import { measureText } from '../measure-text.ts'
import { type ModelConfig, readModelConfig } from '../model-config.ts'
import type { Port } from '../ort/ports.ts'
import type { OrtSession } from '../ort/session.ts'
import { booleanParam, choiceParam, integerParam, type Params } from '../params.ts'
import { labelTensors, requireLabelScores, type ScoreFunction, scoresOf, topLabels } from '../scores.ts'
import type { TaskDefinition } from '../task-definition.ts'
import { textRows } from '../text-columns.ts'
import { loadTextModel } from '../text-model.ts'
import type { RowOutput } from '../token-run.ts'

export const textClassificationTask: TaskDefinition = {
  task: 'text-classification',
  async load({ session, reader, options, heapLimitBytes }) {
    const config = await readModelConfig(reader)
    const output = logitsOf(session)
    const batchInvariant = booleanParam(options, 'batchInvariant') ?? false
    const model = await loadTextModel(session, reader, { config, output, batchInvariant, heapLimitBytes })
    return {
      signature: taskSignature('text-classification'),
      measure: () => measureText(model, session),
      async invoke(request, signal) {
        const count = countOf(request.params)
        const chosen = choiceParam(request.params, 'function_to_apply', scoreFunctions)
        const texts = textRows(request.inputs)
        const startedMs = performance.now()
        const read = ({ shape, values }: RowOutput) => {
          requireLabelScores(output.name, shape)
          const apply = chosen ?? functionFor(config, values.length)
          return topLabels(scoresOf(values, apply), config.labels, count)
        }
        const { outputs: rows, promptTokens } = await model.run(texts, read, signal)
        return {
          outputs: labelTensors(rows),
          rows,
          usage: { promptTokens, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

/** The number of labels wanted: the pipeline's `top_k=None` means all of them. */
function countOf(params: Params): number {
  if (params.top_k === undefined) return 1
  const count = integerParam(params, 'top_k', 0, Number.MAX_SAFE_INTEGER) ?? 0
  return count === 0 ? Number.POSITIVE_INFINITY : count
}

function functionFor({ problemType }: ModelConfig, labels: number): ScoreFunction {
  if (problemType === 'regression') return 'none'
  if (problemType === 'multi_label_classification' || labels === 1) return 'sigmoid'
  return 'softmax'
}

function logitsOf(session: OrtSession): Port {
  return session.outputs.find((port) => port.name === 'logits') ?? session.outputs[0]!
}
