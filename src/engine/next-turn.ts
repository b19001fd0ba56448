/**
 * A turn of the event loop between two runs of the engine, which hold the thread: what came meanwhile is read, and who waits is
 * answered.
 *
 * A timer of no length is such a turn only in workerd (15 µs); Node makes it a millisecond and browsers make nested ones four,
 * as long as a whole token takes.
 */

/** Resolves once pending events were handled. */
export const nextTurn: () => Promise<void> = chooseTurn()

function chooseTurn(): () => Promise<void> {
  if (typeof setImmediate === 'function') return () => new Promise((resolve) => setImmediate(resolve))
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers')
    return () => new Promise((resolve) => setTimeout(resolve, 0))
  const waiting: (() => void)[] = []
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => waiting.shift()?.()
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve)
      port2.postMessage(null)
    })
}
