/** What one row of `predictions` is, per task, as a JSON schema. */
import type { Task } from '#contracts/task.ts'

const number = { type: 'number' }
const integer = { type: 'integer' }
const text = { type: 'string' }

/** Rows whose form follows from the task alone. */
export const predictionRows: Readonly<Partial<Record<Task, object>>> = {
  'feature-extraction': listOf({ type: 'number', format: 'float' }),
  'text-generation': objectOf({ generated_text: text }),
  'token-classification': listOf(
    objectOf(
      { score: number, word: text, start: integer, end: integer },
      { entity: text, entity_group: text, index: integer },
    ),
  ),
  rerank: { oneOf: [number, listOf(objectOf({ index: integer, score: number }, { document: text }))] },
  'object-detection': listOf(
    objectOf({
      score: number,
      label: text,
      box: objectOf({ xmin: integer, ymin: integer, xmax: integer, ymax: integer }),
    }),
  ),
  'voice-activity': objectOf(
    { segments: listOf(objectOf({ start: number, end: number })) },
    { probabilities: listOf(number), speaking_since: { type: ['number', 'null'] }, state: text },
  ),
}

/** Labels with scores, the form of the classifiers. */
export const labelRow = listOf(objectOf({ label: text, score: number }))

function listOf(items: object): object {
  return { type: 'array', items }
}

function objectOf(required: Readonly<Record<string, object>>, optional: Readonly<Record<string, object>> = {}): object {
  return { type: 'object', properties: { ...required, ...optional }, required: Object.keys(required) }
}
