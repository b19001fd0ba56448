/** The kinds of request an entity can answer. Adding one is adding a file in `src/engine/tasks/` and a line here. */
export const tasks = [
  'tensor',
  'text-classification',
  'feature-extraction',
  'image-classification',
  'text-generation',
  'token-classification',
  'rerank',
  'object-detection',
  'voice-activity',
] as const
export type Task = (typeof tasks)[number]

export function isTask(value: unknown): value is Task {
  return (tasks as readonly unknown[]).includes(value)
}
