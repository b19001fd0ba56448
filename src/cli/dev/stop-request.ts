/** When the server is to stop: at Ctrl-C, a signal to the process, or the end of the npm that runs it. */
import { readFileSync } from 'node:fs'
import { setInterval } from 'node:timers'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const lookEveryMs = 500

export interface StopRequest {
  requested: Promise<void>
  /** Whether it came already. */
  isRequested(): boolean
}

/**
 * Listens from now on. The second signal ends the process at once, which takes workerd with it.
 *
 * @param underNpm whether npm is the parent, whose death nobody tells us of; the server would go on without a terminal.
 */
export function stopRequest({ underNpm }: { underNpm: boolean }): StopRequest {
  const { promise, resolve } = Promise.withResolvers<void>()
  let requested = false
  const request = () => {
    requested = true
    resolve()
  }
  for (const signal of signals) {
    process.on(signal, () => {
      if (requested) process.exit(signal === 'SIGTERM' ? 143 : 130)
      request()
    })
  }
  if (underNpm) {
    const before = ancestors()
    const look = setInterval(() => {
      if (ancestors() === before) return
      clearInterval(look)
      request()
    }, lookEveryMs)
    look.unref()
  }
  return { requested: promise, isRequested: () => requested }
}

/** Our parent and, where /proc tells, its parent: npm runs scripts through a shell that outlives it. */
function ancestors(): string {
  const parent = process.ppid
  try {
    // After the name, which is in brackets and may hold anything, come the state and the parent.
    const [, grandparent] = readFileSync(`/proc/${parent}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return `${parent} ${grandparent}`
  } catch {
    return `${parent}`
  }
}
