/** OpenAI's completions, out: one object, or a stream of chunks of the same shape. */
import type { GenerationEvent, TokenLogprob } from '#contracts/generation.ts'
import { collectGeneration } from '../../collect-generation.ts'
import { type GenerationContext, replyId } from '../generation-plan.ts'
import { chunkWriter, finishReasonOf, streamDone, streamFailure, usageOf } from '../openai-values.ts'

/** Resolves to a `text_completion`. There is no place for reasoning of its own here, so it is not set apart from the text. */
export async function completionsReply(
  events: AsyncIterable<GenerationEvent>,
  choices: number,
  context: GenerationContext,
) {
  const collected = await collectGeneration(events, choices)
  return {
    ...envelope(context),
    choices: collected.choices.map(({ text, reasoning, logprobs, logprobsAt, finishReason }, index) => ({
      index,
      text: reasoning + text,
      logprobs: logprobs.length > 0 ? listedLogprobs(logprobs, reasoning.length + logprobsAt) : null,
      finish_reason: finishReasonOf(finishReason),
    })),
    usage: usageOf(collected.usage),
  }
}

export function completionsChunks(choices: number, includesUsage: boolean, context: GenerationContext) {
  const chunk = chunkWriter(envelope(context))
  const noUsage = includesUsage ? ',"usage":null' : ''
  /** Characters that each choice has had so far: log probabilities say where in the text their tokens begin. */
  const offsets = new Array<number>(choices).fill(0)

  return (event: GenerationEvent): string => {
    switch (event.type) {
      case 'text-delta':
      case 'reasoning-delta': {
        const { choice: index, text } = event
        const listed =
          event.type === 'text-delta' && event.logprobs ? listedLogprobs(event.logprobs, offsets[index]!) : null
        offsets[index]! += text.length
        return chunk([{ index, text, logprobs: listed, finish_reason: null }], noUsage)
      }
      case 'choice-end': {
        const finish_reason = finishReasonOf(event.finishReason)
        return chunk([{ index: event.choice, text: '', logprobs: null, finish_reason }], noUsage)
      }
      case 'usage-final':
        return (includesUsage ? chunk([], `,"usage":${JSON.stringify(usageOf(event.usage))}`) : '') + streamDone
      case 'failed':
        return streamFailure(event.error)
      default:
        return ''
    }
  }
}

function envelope(context: GenerationContext) {
  return {
    id: replyId('cmpl-', context),
    object: 'text_completion',
    created: Math.floor(context.createdMs / 1_000),
    model: context.model,
    system_fingerprint: context.fingerprint,
  }
}

/** Parallel lists, one entry for each token; the token itself is among its `top_logprobs`, as OpenAI has it. */
function listedLogprobs(logprobs: readonly TokenLogprob[], startOffset: number) {
  let offset = startOffset
  return {
    tokens: logprobs.map(({ token }) => token),
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ token, logprob, top }) =>
      Object.fromEntries([...top.map((other) => [other.token, other.logprob]), [token, logprob]]),
    ),
    text_offset: logprobs.map(({ token }) => {
      const at = offset
      offset += token.length
      return at
    }),
  }
}
