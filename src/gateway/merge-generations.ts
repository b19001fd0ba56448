/** Several generations as one, for a request with several prompts: their choices are numbered through, their usage is added up. */
import type { GenerationEvent, GenerationUsage } from '#contracts/generation.ts'

/**
 * Events come in the order in which the model gives them, each prompt's own in order. The first failure ends all.
 *
 * @param choicesEach how many choices each generation has.
 */
export async function* mergeGenerations(
  generations: readonly AsyncIterable<GenerationEvent>[],
  choicesEach: number,
): AsyncGenerator<GenerationEvent> {
  const iterators = generations.map((generation) => generation[Symbol.asyncIterator]())
  try {
    const usages: GenerationUsage[] = []
    const read = { promptTokens: 0, cachedTokens: 0 }
    for (const { value, done } of await Promise.all(iterators.map((iterator) => iterator.next()))) {
      if (done) return
      const event: GenerationEvent = value
      if (event.type === 'failed') return yield event
      if (event.type !== 'prompt-read') continue
      read.promptTokens += event.promptTokens
      read.cachedTokens += event.cachedTokens
    }
    yield { type: 'prompt-read', ...read }

    const step = async (at: number) => ({ at, next: await iterators[at]!.next() })
    const waiting = new Map(iterators.map((_, at) => [at, step(at)]))
    while (waiting.size > 0) {
      const { at, next } = await Promise.race(waiting.values())
      if (next.done) {
        waiting.delete(at)
        continue
      }
      waiting.set(at, step(at))
      const event = next.value
      if (event.type === 'usage-final') usages.push(event.usage)
      else if ('choice' in event) yield { ...event, choice: event.choice + at * choicesEach }
      else if (event.type === 'failed') return yield event
    }
    if (usages.length === iterators.length) yield { type: 'usage-final', usage: usages.reduce(sum) }
  } finally {
    // Not awaited: a generation that is waiting for its next token ends when the caller's signal tells it to.
    for (const iterator of iterators) void iterator.return?.().catch(() => undefined)
  }
}

/** Tokens add up; times are those of work done side by side. */
function sum(left: GenerationUsage, right: GenerationUsage): GenerationUsage {
  return {
    promptTokens: left.promptTokens + right.promptTokens,
    cachedTokens: left.cachedTokens + right.cachedTokens,
    completionTokens: left.completionTokens + right.completionTokens,
    reasoningTokens: left.reasoningTokens + right.reasoningTokens,
    queueMs: Math.max(left.queueMs, right.queueMs),
    loadMs: Math.max(left.loadMs, right.loadMs),
    ttftMs: Math.min(left.ttftMs, right.ttftMs),
    decodeMs: Math.max(left.decodeMs, right.decodeMs),
  }
}
