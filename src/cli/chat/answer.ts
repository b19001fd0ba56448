/** One answer: written to the terminal as it comes, then how many tokens it had and how fast they came. */
import type { GlimClient } from '#src/client/client.ts'
import type { Terminal } from '../terminal.ts'
import type { Conversation } from './conversation.ts'

export interface AnswerOptions {
  client: Pick<GlimClient, 'chat'>
  terminal: Pick<Terminal, 'write' | 'note'>
  signal: AbortSignal
  now?: () => number
}

/**
 * Asks, shows the answer, and adds both to the conversation; an answer that the person stopped counts as far as it went.
 *
 * @throws {ServingError} as the server refused; the conversation is as before then.
 */
export async function answer(question: string, conversation: Conversation, options: AnswerOptions): Promise<void> {
  const { client, terminal, signal, now = () => performance.now() } = options
  const startedMs = now()
  let firstMs: number | undefined
  let text = ''
  let summary = 'stopped'
  try {
    for await (const part of client.chat(conversation.request(question), signal)) {
      if (part.kind === 'end') {
        summary = summaryOf(part, { waitedMs: (firstMs ?? now()) - startedMs, wroteMs: now() - (firstMs ?? now()) })
        continue
      }
      firstMs ??= now()
      if (part.kind === 'text') text += part.text
      terminal.write(part.text)
    }
  } catch (error) {
    if (!signal.aborted) {
      if (firstMs !== undefined) terminal.write('\n')
      throw error
    }
  }
  terminal.write('\n')
  terminal.note(`[${summary}]`)
  conversation.add(question, text)
}

interface Counts {
  finishReason: string | null
  promptTokens: number
  cachedTokens: number
  completionTokens: number
}

function summaryOf(
  { finishReason, promptTokens, cachedTokens, completionTokens }: Counts,
  { waitedMs, wroteMs }: { waitedMs: number; wroteMs: number },
): string {
  // The first token came at the end of the wait, so the others share the time of writing.
  const rate =
    completionTokens > 1 && wroteMs > 0 ? `, ${(((completionTokens - 1) * 1_000) / wroteMs).toFixed(0)} tokens/s` : ''
  const cached = cachedTokens > 0 ? ` (${cachedTokens} cached)` : ''
  const end = finishReason === 'length' ? ', cut at the limit' : ''
  return `${promptTokens} tokens read${cached}, first after ${waitedMs.toFixed(0)} ms; ${completionTokens} written${rate}${end}`
}
