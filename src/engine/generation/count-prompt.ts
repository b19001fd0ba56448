/** A request that has nothing written: how many tokens its prompt has, and the prompt again where it is asked for. */
import type { GenerationEvent, GenerationRequest } from '#contracts/generation.ts'
import type { ReadPrompt } from './prompt.ts'

/** The events of a reply without tokens; nothing is run. */
export async function* countPrompt(
  { echo, choices }: GenerationRequest,
  prompt: ReadPrompt,
): AsyncIterable<GenerationEvent> {
  const promptTokens = prompt.tokens.length
  yield { type: 'prompt-read', promptTokens, cachedTokens: 0 }
  for (let choice = 0; echo && choice < choices; choice++) {
    yield { type: 'text-delta', choice, text: prompt.text }
    yield { type: 'choice-end', choice, finishReason: 'length', stopText: null }
  }
  yield {
    type: 'usage-final',
    usage: {
      promptTokens,
      cachedTokens: 0,
      completionTokens: 0,
      reasoningTokens: 0,
      queueMs: 0,
      loadMs: 0,
      ttftMs: 0,
      decodeMs: 0,
    },
  }
}
