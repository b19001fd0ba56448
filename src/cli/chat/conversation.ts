/** What was said so far, and how the next answer is to be made: everything that a `/` command can change. */
import type { ChatRequest, ChatTurn } from '#src/client/chat.ts'

export interface Settings {
  maxTokens?: number
  temperature?: number
  topP?: number
  seed?: number
}

export class Conversation {
  readonly endpoint: string
  settings: Settings
  system: string | undefined
  #turns: ChatTurn[] = []

  constructor(endpoint: string, system: string | undefined, settings: Settings) {
    this.endpoint = endpoint
    this.system = system
    this.settings = settings
  }

  get turns(): readonly ChatTurn[] {
    return this.#turns
  }

  /** The request for an answer to `question`. */
  request(question: string): ChatRequest {
    const { maxTokens, temperature, topP, seed } = this.settings
    return {
      model: this.endpoint,
      messages: [
        ...(this.system === undefined ? [] : [{ role: 'system' as const, content: this.system }]),
        ...this.#turns,
        { role: 'user', content: question },
      ],
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(topP === undefined ? {} : { top_p: topP }),
      ...(seed === undefined ? {} : { seed }),
    }
  }

  /** Also of an answer that was cut short: what the person saw was said. */
  add(question: string, answer: string): void {
    this.#turns.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
  }

  clear(): void {
    this.#turns = []
  }

  /** Takes the last question and answer back. Resolves to whether there was one. */
  undo(): boolean {
    return this.#turns.splice(-2).length > 0
  }
}
