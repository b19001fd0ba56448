/**
 * Whether grouped attention answers as the plain one did: over prompts, and over one more token after each with the cache that the
 * prompt has left, since a graph may be right with an empty cache only.
 */
import type { NamedTensors, NumericTensor, Tensor } from '#contracts/tensor.ts'
import { newValues, tensorOf } from '#contracts/tensor.ts'
import type { OnnxModel } from '../onnx/model.ts'
import { modelParts } from '../onnx/write-model.ts'
import { accuracyOf } from './accuracy.ts'
import { groupAttention } from './attention.ts'
import { type ExampleSource, examplesFor } from './examples.ts'
import { answeredExamples, type Outputs, runVariant } from './run-variants.ts'
import type { Engine } from './save-ort.ts'

/** Both are float32 and sum in another order. */
const leastCosine = 0.99999
const newTokens = 3

/** The model with grouped attention, or the reason why it keeps its own. */
export function grouped(
  model: OnnxModel,
  engine: Engine,
  source: ExampleSource,
): { model: OnnxModel; layers: number } | string {
  const changed = groupAttention(model)
  if (typeof changed === 'string') return changed
  const [plain, after] = [modelParts(model), modelParts(changed.model)]
  const prompts = answeredExamples(engine, { file: plain, level: 99 }, (inputs) => examplesFor(inputs, source))
  if (prompts.examples.length === 0) return `none of the generated prompts is answered (${prompts.refusal})`
  const steps = prompts.examples.map((prompt, at) => nextStep(prompt, prompts.outputs[at]!))
  const examples = [...prompts.examples, ...steps]
  const before = runVariant(engine, { file: plain, level: 99 }, examples)
  const { outputs } = runVariant(engine, { file: after, level: 99 }, examples)
  const worst = accuracyOf(before.outputs, outputs).find(({ cosine }) => !(cosine >= leastCosine))
  if (worst) return `the output "${worst.output}" would have a cosine of ${worst.cosine.toFixed(5)} to the original's`
  return changed
}

/** The inputs after a prompt: its cache, and its first tokens once more as the next ones. */
function nextStep(prompt: NamedTensors, outputs: Outputs): NamedTensors {
  const past = (prompt.input_ids as NumericTensor).shape.at(-1)!
  const count = Math.min(newTokens, past)
  return Object.fromEntries(
    Object.entries(prompt).map(([name, tensor]) => [name, stepInput(name, tensor, { past, count, outputs })]),
  )
}

function stepInput(
  name: string,
  tensor: Tensor,
  { past, count, outputs }: { past: number; count: number; outputs: Outputs },
): Tensor {
  const present = outputs[name.replace(/^past_key_values\./, 'present.')]
  if (present) return present
  if (!('bytes' in tensor)) return tensor
  const { dtype, shape } = tensor
  if (dtype !== 'int64' && dtype !== 'int32') return tensor
  const integers = (length: number, value: (at: number) => number) => {
    const values = newValues(dtype, length)
    for (let at = 0; at < length; at++) values[at] = values instanceof BigInt64Array ? BigInt(value(at)) : value(at)
    return tensorOf(dtype, [...shape.slice(0, -1), length], values)
  }
  if (name === 'attention_mask') return integers(past + count, () => 1)
  if (name === 'position_ids') return integers(count, (at) => past + at)
  if (name !== 'input_ids') return tensor
  const size = tensor.bytes.byteLength / past
  return { dtype, shape: [...shape.slice(0, -1), count], bytes: tensor.bytes.slice(0, size * count) }
}
