/** Labels for pictures, as the Hugging Face pipeline of that name gives them. */
import { modelFailed } from '#contracts/errors.ts'
import { pictureLabelsByDefault, scoreFunctions, taskSignature } from '#contracts/task-signatures.ts'
import { floatTensor, rowsOf } from '../floats.ts'
import { decodeRow, imageColumn } from '../image/image-column.ts'
import type { Picture } from '../image/picture.ts'
import { layoutOf, pixelsOf } from '../image/pixel-input.ts'
import { readPreprocessor } from '../image/preprocessor.ts'
import { type ModelConfig, readModelConfig } from '../model-config.ts'
import { choiceParam, integerParam } from '../params.ts'
import { runGraph } from '../run-graph.ts'
import { isDistribution, labelTensors, requireLabelScores, type ScoreFunction, scoresOf, topLabels } from '../scores.ts'
import type { TaskDefinition } from '../task-definition.ts'

export const imageClassificationTask: TaskDefinition = {
  task: 'image-classification',
  async load({ session, reader, wasm }) {
    const config = await readModelConfig(reader)
    const preprocessor = await readPreprocessor(reader)
    const [input, ...others] = session.inputs
    if (!input || others.length > 0) {
      const names = session.inputs.map(({ name }) => `"${name}"`).join(', ')
      throw modelFailed(`A picture is one input; the graph has ${names || 'none'}.`)
    }
    const layout = layoutOf(input)
    const output = session.outputs.find((port) => port.name === 'logits') ?? session.outputs[0]!

    const classify = (picture: Picture): Float32Array => {
      const { shape, values } = pixelsOf(picture, preprocessor, layout)
      const tensor = floatTensor(input.dtype, [1, ...shape], values)
      if (!tensor)
        throw modelFailed(`The graph's input "${input.name}" is ${input.dtype}; pictures are given as floats or uint8.`)
      const result = runGraph(session, { [input.name]: tensor }, [output.name])
      const { shape: labels, values: rows } = rowsOf(output.name, result[output.name]!, 1)
      requireLabelScores(output.name, labels)
      return rows[0]!
    }
    return {
      signature: taskSignature('image-classification'),
      async invoke(request) {
        const count = integerParam(request.params, 'top_k', 1, Number.MAX_SAFE_INTEGER) ?? pictureLabelsByDefault
        const chosen = choiceParam(request.params, 'function_to_apply', scoreFunctions)
        const pictures = imageColumn(request.inputs)
        const startedMs = performance.now()
        const rows = []
        // One at a time: a decoded picture is large, and an answer must not depend on its neighbours in a batch.
        for (const [row, bytes] of pictures.entries()) {
          const numbers = classify(await decodeRow(bytes, row, wasm?.jpeg))
          rows.push(topLabels(scoresOf(numbers, chosen ?? functionFor(config, numbers)), config.labels, count))
        }
        return {
          outputs: labelTensors(rows),
          rows,
          usage: { promptTokens: 0, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

function functionFor({ problemType }: ModelConfig, numbers: Float32Array): ScoreFunction {
  if (isDistribution(numbers)) return 'none'
  return problemType === 'multi_label_classification' || numbers.length === 1 ? 'sigmoid' : 'softmax'
}
