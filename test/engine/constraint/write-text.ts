import type { CompiledConstraint, TokenVocabulary } from '#src/engine/generation/seams.ts'
import type { Random } from './random.ts'

export interface WrittenText {
  text: string
  tokens: number[]
  /** Whether it ended by itself, not because its tokens ran out. */
  isComplete: boolean
}

/** Lets random logits write a text of at most `maxTokens` tokens, as the token loop does. */
export function writeText(
  compiled: CompiledConstraint,
  vocabulary: TokenVocabulary,
  random: Random,
  maxTokens: number,
): WrittenText {
  const position = compiled.start()
  const tokens: number[] = []
  const bytes: number[] = []
  const logits = new Float32Array(vocabulary.size)
  while (!position.isComplete && tokens.length < maxTokens) {
    logits.fill(0)
    position.mask(logits, maxTokens - tokens.length)
    const possible: number[] = []
    for (let token = 0; token < logits.length; token++) if (logits[token] === 0) possible.push(token)
    if (possible.length === 0) throw new Error(`No token may follow ${decode(bytes)}`)
    const token = random.pick(possible)
    position.accept(token)
    tokens.push(token)
    bytes.push(...(vocabulary.bytesOf(token) ?? []))
  }
  return { text: decode(bytes), tokens, isComplete: position.isComplete }
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
}
