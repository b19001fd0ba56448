/** A conversation on a terminal: a line is a message, or a command where it begins with a slash. */
import { createInterface } from 'node:readline/promises'
import { isServingError } from '#contracts/errors.ts'
import type { GlimClient } from '#src/client/client.ts'
import { failureFrom } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { answer } from './answer.ts'
import type { Conversation } from './conversation.ts'
import { runSlash } from './slash-commands.ts'

export interface ConverseOptions {
  client: Pick<GlimClient, 'chat'>
  terminal: Pick<Terminal, 'write' | 'note'>
  input: NodeJS.ReadableStream
  output: NodeJS.WritableStream
}

/**
 * Resolves once the person has ended it: by a command, by the end of the input, or by Ctrl-C while no answer is being written.
 *
 * @throws {ServingError} 401 and 404, which no other message would change; {ServerUnreachable} retryable.
 */
export async function converse(conversation: Conversation, options: ConverseOptions): Promise<void> {
  const { client, terminal, input, output } = options
  const lines = createInterface({ input, output, prompt: '> ' })
  let running: AbortController | undefined
  let isOpen = true
  lines.once('close', () => {
    isOpen = false
  })
  lines.on('SIGINT', () => (running ? running.abort() : lines.close()))
  terminal.note(`Talking to ${conversation.endpoint}. /help shows the commands.`)
  try {
    lines.prompt()
    // Iterated, so that lines which come while an answer is written (pasted text) wait for their turn.
    for await (const line of lines) {
      if (line.startsWith('/')) {
        const told = runSlash(line, conversation)
        if (told === null) return
        terminal.note(told)
      } else if (line.trim() !== '') {
        running = new AbortController()
        await answer(line, conversation, { client, terminal, signal: running.signal }).catch((error: unknown) => {
          // A refusal of this message ends nothing: the next may be shorter, or the queue emptier.
          if (!isServingError(error) || error.status === 401 || error.status === 404) throw error
          terminal.note(failureFrom(error).message)
        })
        running = undefined
      }
      if (isOpen) lines.prompt()
    }
  } finally {
    // Left open, it would keep the process waiting for a line that nobody asks for.
    lines.close()
  }
}
