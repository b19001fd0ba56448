/** What the tasks use of a model's `config.json`, which may be absent. */
import type { ArtifactReader } from '#contracts/served-model.ts'
import { isObject, type JsonObject, readJson } from './read-artifact.ts'

export interface ModelConfig {
  /** Labels by class index; empty where the model names none. */
  labels: readonly string[]
  problemType: string | undefined
  /** Longest sequence that the position embeddings cover. */
  maxPositions: number | undefined
  padTokenId: number | undefined
  /** Width of a token's vector, and attention heads; they tell what memory a run needs. */
  hiddenSize: number | undefined
  heads: number | undefined
}

/** Families whose position embeddings begin after the padding token, so that `pad_token_id + 1` of them are never used. */
const offsetPositions: readonly unknown[] = ['roberta', 'xlm-roberta', 'camembert', 'mpnet', 'longformer']

export async function readModelConfig(reader: ArtifactReader): Promise<ModelConfig> {
  const config = (await readJson(reader, 'config.json')) ?? {}
  const padTokenId = integerOf(config.pad_token_id)
  const positions = integerOf(config.max_position_embeddings)
  const skipped = offsetPositions.includes(config.model_type) ? (padTokenId ?? 1) + 1 : 0
  return {
    labels: labelsOf(config),
    problemType: typeof config.problem_type === 'string' ? config.problem_type : undefined,
    maxPositions: positions === undefined ? undefined : positions - skipped,
    padTokenId,
    hiddenSize: integerOf(config.hidden_size ?? config.dim),
    heads: integerOf(config.num_attention_heads ?? config.n_heads),
  }
}

/** The label of a class, in the form that Hugging Face gives to classes without a name. */
export function labelOf(labels: readonly string[], index: number): string {
  return labels[index] ?? `LABEL_${index}`
}

function labelsOf(config: JsonObject): string[] {
  const labels: string[] = []
  const byId = config.id2label
  if (isObject(byId)) for (const [id, label] of Object.entries(byId)) labels[Number(id)] = String(label)
  return Array.from(labels, (label, index) => label ?? `LABEL_${index}`)
}

function integerOf(value: unknown): number | undefined {
  return Number.isInteger(value) ? (value as number) : undefined
}
