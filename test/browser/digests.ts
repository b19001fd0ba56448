/** What is compared between Node and a browser, computed in both. */
import type { GenerationEvent } from '#contracts/generation.ts'
import type { NamedTensors } from '#contracts/tensor.ts'

/** By output: dtype, shape and the SHA-256 of its bytes. */
export type RunDigests = Record<string, string>

export async function digestsOf(outputs: NamedTensors): Promise<RunDigests> {
  const entries = Object.entries(outputs).map(async ([name, tensor]) => {
    if (!('bytes' in tensor)) throw new Error(`The output "${name}" has no numbers.`)
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(tensor.bytes)))
    const hex = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('')
    return [name, `${tensor.dtype} [${tensor.shape.join(', ')}] ${hex}`]
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** The bytes of each token; the request must have asked for log probabilities. */
export async function greedyTokens(events: AsyncIterable<GenerationEvent>): Promise<number[][]> {
  const tokens: number[][] = []
  for await (const event of events) {
    if (event.type === 'failed') throw new Error(event.error.message)
    if (event.type === 'text-delta') for (const { bytes } of event.logprobs ?? []) tokens.push([...bytes])
  }
  return tokens
}
