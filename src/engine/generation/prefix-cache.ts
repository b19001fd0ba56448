/**
 * Keys and values of prompts' beginnings, so that a conversation's next turn reads only what is new.
 *
 * A prompt is read in chunks at positions that are multiples of the chunk, whole chunks are kept, and a kept chunk stands in
 * for reading the same tokens at the same place after the same tokens: the bits are those that reading would have made. Chunks
 * form trees, one for each tenant; nothing is ever shared between tenants, since how fast an answer begins would tell one of
 * them what the other has asked.
 */
import type { Ort } from '../ort/instance.ts'
import type { Pointer } from '../ort/private-exports.ts'

/** A kept chunk. */
export interface PrefixChunk {
  readonly block: Pointer
  readonly tenant: string
  /** Null for the first chunk of a prompt. */
  readonly parent: PrefixChunk | null
  /** Its tokens, as it is known among the chunks beside it. */
  readonly key: string
  readonly children: Map<string, PrefixChunk>
}

export class PrefixCache {
  readonly #ort: Ort
  readonly #blockBytes: number
  readonly #mostChunks: number
  /** The first chunks of each tenant's prompts. */
  readonly #first = new Map<string, Map<string, PrefixChunk>>()
  /** Least recently used first. Using a chunk uses those before it too, and later, so the first one here never has children. */
  readonly #kept = new Set<PrefixChunk>()

  /** Keeps blocks of `blockBytes` in up to `boundBytes` of the heap. */
  constructor(ort: Ort, { blockBytes, boundBytes }: { blockBytes: number; boundBytes: number }) {
    this.#ort = ort
    this.#blockBytes = blockBytes
    this.#mostChunks = Math.floor(boundBytes / blockBytes)
  }

  /** Memory of all blocks. */
  get bytes(): number {
    return this.#kept.size * this.#blockBytes
  }

  has(chunk: PrefixChunk): boolean {
    return this.#kept.has(chunk)
  }

  /** The chunk of these tokens after `parent`, now the most recently used. Its block stays until the next `add`. */
  find(tenant: string, parent: PrefixChunk | null, tokens: readonly number[]): PrefixChunk | null {
    const chunk = (parent ? parent.children : this.#first.get(tenant))?.get(tokens.join()) ?? null
    if (chunk) this.#use(chunk)
    return chunk
  }

  /** Keeps a chunk after `parent`, which is kept too; what was not used for longest makes room. Null where there is no room. */
  add(tenant: string, parent: PrefixChunk | null, tokens: readonly number[], save: () => Pointer): PrefixChunk | null {
    const known = this.find(tenant, parent, tokens)
    if (known) return known
    if (parent) this.#use(parent)
    while (this.#kept.size >= this.#mostChunks) {
      const [oldest] = this.#kept
      if (!oldest || oldest === parent) return null
      this.#drop(oldest)
    }
    const chunk: PrefixChunk = { block: save(), tenant, parent, key: tokens.join(), children: new Map() }
    if (parent) parent.children.set(chunk.key, chunk)
    else this.#first.set(tenant, (this.#first.get(tenant) ?? new Map<string, PrefixChunk>()).set(chunk.key, chunk))
    this.#kept.add(chunk)
    this.#use(chunk)
    return chunk
  }

  #use(used: PrefixChunk): void {
    for (let chunk: PrefixChunk | null = used; chunk; chunk = chunk.parent) {
      this.#kept.delete(chunk)
      this.#kept.add(chunk)
    }
  }

  #drop(chunk: PrefixChunk): void {
    this.#kept.delete(chunk)
    this.#ort.free(chunk.block)
    const { tenant, parent, key } = chunk
    const beside = parent ? parent.children : this.#first.get(tenant)
    beside?.delete(key)
    if (!parent && beside?.size === 0) this.#first.delete(tenant)
  }
}
