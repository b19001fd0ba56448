/** Which task a model serves, read from its files and its graph, never from its name. */
import { badRequest } from '#contracts/errors.ts'
import type { Field, Signature } from '#contracts/signature.ts'
import { isTask, type Task, tasks } from '#contracts/task.ts'

export interface ModelFacts {
  /** Paths of all artifacts. */
  paths: readonly string[]
  /** Parsed `config.json`; an empty object where there is none. */
  config: Readonly<Record<string, unknown>>
  /** The graph's own inputs and outputs; absent while it has not been fetched. */
  graph?: Signature
}

/**
 * The task asked for, if the model has what it needs; without one, what the model's files say it is, `tensor` when they
 * say nothing that glim serves.
 *
 * @throws {ServingError} 400 naming the unknown task or the missing file.
 */
export function planTask(facts: ModelFacts, asked?: string): Task {
  if (asked === undefined) return tasks.find((task) => task !== 'tensor' && looksLike[task](facts)) ?? 'tensor'
  if (!isTask(asked)) throw badRequest(`task: "${asked}" is not one of ${tasks.join(', ')}.`, 'task')
  for (const path of needs[asked]) {
    if (!facts.paths.includes(path))
      throw badRequest(`task: ${asked} needs ${path}, which the model does not have.`, 'task')
  }
  return asked
}

const needs: Record<Task, readonly string[]> = {
  tensor: [],
  'text-classification': ['tokenizer.json', 'config.json'],
  'feature-extraction': ['tokenizer.json'],
  'image-classification': [],
  'text-generation': ['tokenizer.json', 'config.json'],
  'token-classification': ['tokenizer.json', 'config.json'],
  rerank: ['tokenizer.json', 'config.json'],
  'object-detection': ['config.json'],
  'voice-activity': [],
}

const looksLike: Record<Exclude<Task, 'tensor'>, (facts: ModelFacts) => boolean> = {
  'text-classification': (facts) =>
    readsText(facts) && architecture(facts).endsWith('ForSequenceClassification') && !isReranker(facts),
  'feature-extraction': (facts) =>
    readsText(facts) &&
    (facts.paths.includes('1_Pooling/config.json') ||
      facts.paths.includes('modules.json') ||
      /Model$/.test(architecture(facts))),
  'image-classification': (facts) =>
    architecture(facts).endsWith('ForImageClassification') || (architecture(facts) === '' && isImageClassifier(facts)),
  'text-generation': (facts) =>
    readsText(facts) &&
    (facts.graph === undefined
      ? /ForCausalLM$|LMHeadModel$/.test(architecture(facts))
      : facts.graph.inputs.some((input) => input.name.startsWith('past_key_values.'))),
  'token-classification': (facts) => readsText(facts) && architecture(facts).endsWith('ForTokenClassification'),
  rerank: isReranker,
  'object-detection': (facts) =>
    architecture(facts).endsWith('ForObjectDetection') || /^yolox/i.test(String(facts.config.model_type ?? '')),
  'voice-activity': (facts) => facts.config.model_type === 'silero_vad',
}

/** A classifier with one label that was made to score pairs: sentence-transformers writes its settings into the configuration. */
function isReranker(facts: ModelFacts): boolean {
  const { config } = facts
  const labels = Object.keys((config.id2label ?? {}) as object).length
  return (
    readsText(facts) &&
    architecture(facts).endsWith('ForSequenceClassification') &&
    (labels === 1 || config.num_labels === 1) &&
    (config.sentence_transformers !== undefined || config.sbert_ce_default_activation_function !== undefined)
  )
}

function architecture({ config }: ModelFacts): string {
  const list = config.architectures
  return Array.isArray(list) && typeof list[0] === 'string' ? list[0] : ''
}

function readsText({ paths, graph }: ModelFacts): boolean {
  return paths.includes('tokenizer.json') && (graph?.inputs.some((input) => input.name === 'input_ids') ?? true)
}

/** One picture-shaped input and one output with as many values as there are labels. */
function isImageClassifier({ config, graph }: ModelFacts): boolean {
  if (!graph) return false
  const [input, ...others] = graph.inputs
  const labels = Object.keys((config.id2label ?? {}) as object).length
  const [output] = graph.outputs
  if (!input || others.length > 0 || !output || labels < 2) return false
  return (
    isPicture(input) &&
    output.shape.slice(1).reduce<number>((n, size) => n * (typeof size === 'number' ? size : 1), 1) === labels
  )
}

function isPicture({ shape }: Field): boolean {
  const channels = [1, 3]
  return shape.length === 4 && (channels.includes(shape[1] as number) || channels.includes(shape[3] as number))
}
