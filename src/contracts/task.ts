/** The kinds of request an entity can answer. Adding one begins with a line here; CONTRIBUTING.md has the rest. */
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
