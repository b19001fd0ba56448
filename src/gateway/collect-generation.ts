/** The events of a generation as one value, for replies that are not streamed. */
import type { FinishReason, GenerationEvent, GenerationUsage, TokenLogprob, ToolCall } from '#contracts/generation.ts'
import { throwFailure } from './dialects/generation-plan.ts'

export interface CollectedChoice {
  text: string
  reasoning: string
  toolCalls: ToolCall[]
  /** Empty where none were asked for. */
  logprobs: TokenLogprob[]
  /** Characters of the text ahead of the first of them: an echoed prompt has none. */
  logprobsAt: number
  finishReason: FinishReason
  /** The stop text that ended it. */
  stopText: string | null
}

export interface CollectedGeneration {
  choices: CollectedChoice[]
  usage: GenerationUsage
}

/**
 * Resolves once the generation has ended.
 *
 * @param choices how many the request asked for.
 * @throws {ServingError} what a `failed` event tells.
 */
export async function collectGeneration(
  events: AsyncIterable<GenerationEvent>,
  choices: number,
): Promise<CollectedGeneration> {
  const collected = Array.from({ length: choices }, emptyChoice)
  let usage: GenerationUsage | undefined
  for await (const event of events) {
    throwFailure(event)
    if (event.type === 'usage-final') usage = event.usage
    else if ('choice' in event) add(event, collected[event.choice]!)
  }
  return { choices: collected, usage: usage! }
}

type ChoiceEvent = Extract<GenerationEvent, { choice: number }>

function add(event: ChoiceEvent, choice: CollectedChoice): void {
  switch (event.type) {
    case 'text-delta':
      if (event.logprobs && choice.logprobs.length === 0) choice.logprobsAt = choice.text.length
      if (event.logprobs) choice.logprobs.push(...event.logprobs)
      choice.text += event.text
      break
    case 'reasoning-delta':
      choice.reasoning += event.text
      break
    case 'tool-call-start':
      choice.toolCalls[event.call] = { id: event.id, name: event.name, arguments: '' }
      break
    case 'tool-call-delta':
      choice.toolCalls[event.call]!.arguments += event.arguments
      break
    case 'choice-end':
      choice.finishReason = event.finishReason
      choice.stopText = event.stopText
  }
}

function emptyChoice(): CollectedChoice {
  return {
    text: '',
    reasoning: '',
    toolCalls: [],
    logprobs: [],
    logprobsAt: 0,
    finishReason: 'length',
    stopText: null,
  }
}
