/** One choice's tokens as events: whole characters, up to a stop text, reasoning and tool calls apart, log probabilities beside. */
import type { GenerationEvent, TokenLogprob } from '#contracts/generation.ts'
import type { ToolCallPiece, ToolCallReader } from '../constraint/tool-call-types.ts'
import { createToolCallReader, type ToolCallMode } from '../constraint/tool-calls.ts'
import { createDetokenizer } from './detokenizer.ts'
import { createOutputText, type OutputPiece, type OutputText, type ReasoningTags } from './output-text.ts'
import type { Detokenizer, SampledToken, TokenVocabulary } from './seams.ts'

export interface ChoiceOutputOptions {
  vocabulary: TokenVocabulary
  stop: readonly string[]
  reasoning: ReasoningTags | null
  stripLeadingSpace: boolean
  /** How calls of tools stand in the text; null where there are none. */
  toolCalls: ToolCallMode | null
  /** Number of the choice. */
  choice: number
  emit(event: GenerationEvent): void
}

export class ChoiceOutput {
  readonly #vocabulary: TokenVocabulary
  readonly #detokenizer: Detokenizer
  readonly #text: OutputText
  readonly #calls: ToolCallReader | null
  readonly #choice: number
  readonly #emit: (event: GenerationEvent) => void
  /** Of tokens whose text is held back. */
  #logprobs: TokenLogprob[] = []
  reasoningTokens = 0
  /** Calls of tools so far. */
  calls = 0

  constructor({ vocabulary, stop, reasoning, stripLeadingSpace, toolCalls, choice, emit }: ChoiceOutputOptions) {
    this.#vocabulary = vocabulary
    this.#detokenizer = createDetokenizer(vocabulary, { stripLeadingSpace })
    this.#text = createOutputText({ stop, reasoning })
    this.#calls = toolCalls && createToolCallReader({ mode: toolCalls })
    this.#choice = choice
    this.#emit = emit
  }

  /** The stop text that has ended the choice. */
  get stopped(): string | null {
    return this.#text.stopped
  }

  push({ token, logprobs }: SampledToken): void {
    if (this.#text.isReasoning) this.reasoningTokens++
    else if (logprobs) this.#logprobs.push(this.#described(token, logprobs))
    for (const piece of this.#text.push(this.#detokenizer.push(token))) this.#show(piece)
  }

  /** Shows what was held back. */
  end(): void {
    for (const piece of [...this.#text.push(this.#detokenizer.end()), ...this.#text.end()]) this.#show(piece)
    for (const piece of this.#calls?.end() ?? []) this.#showCall(piece)
  }

  #show({ kind, text }: OutputPiece): void {
    if (kind === 'reasoning') this.#emit({ type: 'reasoning-delta', choice: this.#choice, text })
    else if (this.#calls) for (const piece of this.#calls.push(text)) this.#showCall(piece)
    else this.#showText(text)
  }

  #showText(text: string): void {
    const logprobs = this.#logprobs
    this.#logprobs = []
    this.#emit({ type: 'text-delta', choice: this.#choice, text, ...(logprobs.length > 0 ? { logprobs } : {}) })
  }

  #showCall(piece: ToolCallPiece): void {
    const choice = this.#choice
    if (piece.type === 'text') {
      this.#showText(piece.text)
      return
    }
    // What a call is written with is not text that log probabilities could stand beside.
    this.#logprobs = []
    if (piece.type === 'arguments') {
      this.#emit({ type: 'tool-call-delta', choice, call: piece.call, arguments: piece.text })
      return
    }
    this.calls++
    const id = `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
    this.#emit({ type: 'tool-call-start', choice, call: piece.call, id, name: piece.name })
  }

  #described(token: number, { logprob, top }: NonNullable<SampledToken['logprobs']>): TokenLogprob {
    return {
      ...this.#nameOf(token),
      logprob,
      top: top.map((other) => ({ ...this.#nameOf(other.token), logprob: other.logprob })),
    }
  }

  #nameOf(token: number): Pick<TokenLogprob, 'token' | 'bytes'> {
    const bytes = this.#vocabulary.bytesOf(token) ?? new Uint8Array()
    return { token: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes: [...bytes] }
  }
}
