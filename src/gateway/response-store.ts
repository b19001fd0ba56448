/** The conversations behind `/v1/responses`: what one principal's replies said and what led to them. */
import type { ChatMessage } from '#contracts/generation.ts'

export interface StoredResponse {
  /** As it was answered. */
  reply: Readonly<Record<string, unknown>>
  /** The whole conversation up to and with the reply, without instructions, which do not carry over. */
  messages: readonly ChatMessage[]
}

/** One principal's; nobody else's responses are in it. */
export interface ResponseStore {
  /** Resolves to null where there is none, or no longer one. */
  get(id: string): Promise<StoredResponse | null>
  /** Resolves to whether it is kept; a conversation that is too long is not. */
  put(id: string, stored: StoredResponse): Promise<boolean>
  /** Resolves to whether there was one. */
  delete(id: string): Promise<boolean>
}
