/** A chat with an endpoint over the OpenAI route: the request's stream of server-sent events as pieces of text and a last count. */
import { isServingError, ServingError } from '#contracts/errors.ts'
import { requestStream, type ServerAddress, ServerUnreachable } from './http.ts'

export interface ChatTurn {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ChatRequest {
  /** Name of the endpoint. */
  model: string
  messages: readonly ChatTurn[]
  max_tokens?: number
  temperature?: number
  top_p?: number
  seed?: number
}

export type ChatPart =
  | { kind: 'text' | 'reasoning'; text: string }
  | { kind: 'end'; finishReason: string | null; promptTokens: number; cachedTokens: number; completionTokens: number }

interface Chunk {
  choices?: readonly {
    delta?: { content?: string | null; reasoning_content?: string | null }
    finish_reason?: string | null
  }[]
  usage?: {
    prompt_tokens: number
    completion_tokens: number
    prompt_tokens_details?: { cached_tokens?: number } | null
  } | null
  error?: { message: string }
}

/**
 * Yields the turn piece by piece and its counts last. Leaving the iteration, or the signal, stops the model.
 *
 * @throws {ServingError} as the server refused, also in the middle of a turn.
 * @throws {ServerUnreachable} retryable.
 */
export async function* streamChat(
  address: ServerAddress,
  request: ChatRequest,
  signal?: AbortSignal,
): AsyncGenerator<ChatPart> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } })
  const stream = await requestStream(address, '/v1/chat/completions', { body, ...(signal ? { signal } : {}) })
  let finishReason: string | null = null
  let isWhole = false
  for await (const { choices, usage, error } of chunksOf(stream, address)) {
    if (error) throw new ServingError({ code: 'INTERNAL_ERROR', status: 500, message: error.message })
    const [choice] = choices ?? []
    finishReason = choice?.finish_reason ?? finishReason
    const { content, reasoning_content: reasoning } = choice?.delta ?? {}
    if (reasoning) yield { kind: 'reasoning', text: reasoning }
    if (content) yield { kind: 'text', text: content }
    if (usage) {
      isWhole = true
      yield {
        kind: 'end',
        finishReason,
        promptTokens: usage.prompt_tokens,
        cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
        completionTokens: usage.completion_tokens,
      }
    }
  }
  if (!isWhole) throw cutOff(address)
}

/** Each event is one `data:` line and an empty one; the last says `[DONE]`. */
async function* chunksOf(stream: ReadableStream<Uint8Array>, address: ServerAddress): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const bytes of stream as unknown as AsyncIterable<Uint8Array>) {
      rest += decoder.decode(bytes, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (!line.startsWith('data: ') || line === 'data: [DONE]') continue
        yield JSON.parse(line.slice('data: '.length)) as Chunk
      }
    }
  } catch (error) {
    if (isServingError(error) || (error instanceof Error && error.name === 'AbortError')) throw error
    throw cutOff(address)
  }
}

function cutOff({ url }: ServerAddress): ServerUnreachable {
  return new ServerUnreachable(url, 'the connection ended within the answer')
}
