/** A queue that serves tenants in turn, so that one who asks for much keeps nobody else waiting; each one's own come in order. */
export class TenantQueue<T extends { readonly tenant: string }> {
  /** In the order of their turns; none is empty. */
  readonly #waiting = new Map<string, T[]>()

  get size(): number {
    let size = 0
    for (const own of this.#waiting.values()) size += own.length
    return size
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const own of this.#waiting.values()) yield* own
  }

  push(item: T): void {
    const own = this.#waiting.get(item.tenant)
    if (own) own.push(item)
    else this.#waiting.set(item.tenant, [item])
  }

  /** Whose turn it is. */
  peek(): T | undefined {
    const [own] = this.#waiting.values()
    return own?.[0]
  }

  /** Takes the one whose turn it is; its tenant's next turn comes after all others'. */
  shift(): T | undefined {
    const item = this.peek()
    if (!item) return undefined
    const own = this.#waiting.get(item.tenant)!
    own.shift()
    this.#waiting.delete(item.tenant)
    if (own.length > 0) this.#waiting.set(item.tenant, own)
    return item
  }

  remove(item: T): void {
    const own = this.#waiting.get(item.tenant) ?? []
    const left = own.filter((other) => other !== item)
    if (left.length > 0) this.#waiting.set(item.tenant, left)
    else this.#waiting.delete(item.tenant)
  }
}
