/**
 * Prompts of every kind to the tokens a choice goes on from. The begin token comes exactly once where the tokenizer puts one: some
 * templates write it themselves, others leave it to the tokenizer, and a second one makes answers worse without any error.
 *
 * Names of control tokens in a prompt's text are read as those tokens, in conversations too, as in Hugging Face and vLLM: clients
 * that render templates themselves rely on it.
 */
import { invalidParameter } from '#contracts/errors.ts'
import type { Prompt } from '#contracts/generation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { type ChatTemplate, loadChatTemplate } from './chat-template.ts'
import { textOf } from './detokenizer.ts'
import type { ReasoningTags } from './output-text.ts'
import type { LoadedVocabulary } from './vocabulary.ts'

export interface ReadPrompt {
  /** At least one. */
  tokens: readonly number[]
  /** The prompt's own text, for `echo`. */
  text: string
  /** A choice starts its text, so that the tokenizer's leading space is dropped (`DetokenizerOptions.stripLeadingSpace`). */
  stripLeadingSpace: boolean
  /** How the answer's reasoning is told from its text; null for prompts that are no conversation. */
  reasoning: ReasoningTags | null
}

export interface PromptReader {
  readonly template: ChatTemplate
  /**
   * @throws {ServingError} 400 for an empty prompt, one that leaves no room in the context, unknown token ids, a conversation
   * that the template refuses. Final.
   */
  read(prompt: Prompt): ReadPrompt
}

export interface PromptReaderOptions {
  reader: ArtifactReader
  loaded: LoadedVocabulary
  /** Tokens of prompt and answer together. */
  contextLength: number
}

/** Resolves to the reader of a model's prompts, its chat template parsed. */
export async function loadPromptReader({ reader, loaded, contextLength }: PromptReaderOptions): Promise<PromptReader> {
  const template = await loadChatTemplate(reader, loaded)
  const { vocabulary, framing } = loaded

  function encode(text: string, field: string): number[] {
    // Text that cannot fit is refused before it costs the time of encoding it.
    const most = contextLength * loaded.longestTokenBytes
    if (text.length > most)
      throw invalidParameter(field, `has ${text.length} characters, more than ${contextLength} tokens can hold.`)
    return loaded.encode(text, { special: true })
  }

  function finished(
    tokens: readonly number[],
    field: string,
    prompt: Omit<ReadPrompt, 'tokens' | 'stripLeadingSpace'>,
  ) {
    if (tokens.length === 0) throw invalidParameter(field, 'is empty, and the model has no token that begins a text.')
    if (tokens.length >= contextLength)
      throw invalidParameter(
        field,
        `has ${tokens.length} tokens; the model's context holds ${contextLength}, at least one of the answer among them.`,
      )
    const startsText = tokens.every((token) => vocabulary.bytesOf(token) === null)
    return { ...prompt, tokens, stripLeadingSpace: startsText && loaded.stripsLeadingSpace }
  }

  const withBegin = (tokens: readonly number[]) =>
    framing.before.every((token, index) => tokens[index] === token) ? tokens : [...framing.before, ...tokens]
  const orBegin = (tokens: readonly number[]) =>
    tokens.length === 0 && loaded.beginToken !== null ? [loaded.beginToken] : tokens

  return {
    template,
    read(prompt) {
      if (prompt.kind === 'messages') {
        if (prompt.messages.length === 0) throw invalidParameter('messages', 'expected at least one message.')
        const tools = prompt.toolChoice === 'none' ? [] : prompt.tools
        const text = template.render(prompt.messages, tools, prompt.templateVariables)
        const tags = template.reasoningTags
        const reasoning = tags && { ...tags, opened: text.trimEnd().endsWith(tags.open) }
        return finished(orBegin(withBegin(encode(text, 'messages'))), 'messages', { text, reasoning })
      }
      if (prompt.kind === 'text') {
        const tokens = [...withBegin(encode(prompt.text, 'prompt')), ...framing.after]
        return finished(orBegin(tokens), 'prompt', { text: prompt.text, reasoning: null })
      }
      for (const [index, token] of prompt.tokens.entries())
        if (!Number.isInteger(token) || token < 0 || token >= vocabulary.size)
          throw invalidParameter(
            `prompt[${index}]`,
            `expected a token id from 0 to ${vocabulary.size - 1}, got ${token}.`,
          )
      const text = textOf(vocabulary, prompt.tokens, { stripLeadingSpace: loaded.stripsLeadingSpace })
      return finished(orBegin(prompt.tokens), 'prompt', { text, reasoning: null })
    },
  }
}
