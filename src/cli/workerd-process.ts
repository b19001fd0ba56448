/**
 * The workerd that Miniflare starts, as far as Miniflare does not look after it.
 *
 * Miniflare ends workerd with SIGKILL, which cuts requests, and starts it again whenever it exits by itself. So to drain, we
 * send SIGTERM, on which workerd finishes what it has and exits, and have Miniflare disposed of in the very event in which
 * it would start the next one. And when Node is killed without a word, nobody is left to end workerd, which would keep its
 * port and the registry's files open: a shell that waits for our end of its pipe to close then does.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const workerdBinary = (createRequire(import.meta.url)('workerd') as { default: string }).default

/** In workerd's environment: the state folder that it serves, by which `endOrphans` knows it. */
export const stateVariable = 'GLIM_STATE'

/** As long as the pipe is open it learns which process to end, `0` for none. It outlives every signal to the group but KILL. */
const guardScript = `trap '' INT TERM HUP; last=0; while read -r pid; do last=$pid; done; [ "$last" -gt 0 ] && kill -TERM "$last"`

export interface WorkerdProcess {
  /** Resolves when workerd has finished its requests and exited, or the limit is over; `dispose` is Miniflare's. */
  drain(limitMs: number, dispose: () => Promise<void>): Promise<void>
  /** Ends workerd at once; Miniflare starts it again. */
  kill(): void
  /** Ends the guard and resolves once it is gone; for when workerd has ended. */
  release(): Promise<void>
}

/** To be called before Miniflare is made; one server of a process can be drained. */
export async function adoptWorkerd(): Promise<WorkerdProcess> {
  await startThroughWrapper()
  const guard = process.platform === 'win32' ? undefined : await startGuard()
  let current: ChildProcess | undefined

  const adopt = (message: unknown) => {
    const child = (message as { process: ChildProcess }).process
    // Announced before it is spawned: only then has it a name and a number.
    setImmediate(() => {
      if (child.pid === undefined || !isWorkerd(child)) return
      current = child
      guard?.stdin?.write(`${child.pid}\n`)
      child.once('exit', () => {
        if (current === child) guard?.stdin?.write('0\n')
      })
    })
  }
  diagnostics.subscribe('child_process', adopt)

  return {
    async drain(limitMs, dispose) {
      const child = current
      if (!child || child.exitCode !== null || child.signalCode !== null) return dispose()
      const { promise: disposed, resolve } = Promise.withResolvers<void>()
      let limit: NodeJS.Timeout | undefined
      const disposeOnce = () => {
        clearTimeout(limit)
        child.removeListener('exit', disposeOnce)
        resolve(dispose())
      }
      // Before Miniflare's own listener, which would start workerd again.
      child.prependListener('exit', disposeOnce)
      limit = setTimeout(disposeOnce, limitMs)
      child.kill('SIGTERM')
      await disposed
    },
    kill: () => void current?.kill('SIGKILL'),
    async release() {
      diagnostics.unsubscribe('child_process', adopt)
      if (!guard || guard.exitCode !== null || guard.signalCode !== null) return
      guard.ref()
      guard.stdin?.end('0\n')
      await once(guard, 'exit')
    },
  }
}

/** Where the wrapper cannot run (Windows, a lost executable bit) workerd is started bare, and Ctrl-C does not drain. */
async function startThroughWrapper(): Promise<void> {
  if (process.env.GLIM_WORKERD !== undefined || process.platform === 'win32') return
  const wrapper = fileURLToPath(new URL('workerd.sh', import.meta.url))
  const runnable = await access(wrapper, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (!runnable) return
  process.env.GLIM_WORKERD = process.env.MINIFLARE_WORKERD_PATH ?? workerdBinary
  process.env.MINIFLARE_WORKERD_PATH = wrapper
}

/** Undefined without a shell: then the next start ends what was left. */
async function startGuard(): Promise<ChildProcess | undefined> {
  const guard = spawn('/bin/sh', ['-c', guardScript], { stdio: ['pipe', 'ignore', 'ignore'] })
  guard.stdin.on('error', () => {})
  guard.unref()
  return once(guard, 'spawn').then(
    () => guard,
    () => undefined,
  )
}

function isWorkerd({ spawnfile, spawnargs }: ChildProcess): boolean {
  return spawnfile === (process.env.MINIFLARE_WORKERD_PATH ?? workerdBinary) && spawnargs[1] === 'serve'
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Makes Miniflare without what it listens to signals with: it would end the process at the first, requests or not. */
export function withoutSignalListeners<T>(body: () => T): T {
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]))
  const result = body()
  for (const [signal, listeners] of before) {
    for (const listener of process.listeners(signal)) {
      if (!listeners.includes(listener)) process.removeListener(signal, listener)
    }
  }
  return result
}
