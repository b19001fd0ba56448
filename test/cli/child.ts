/** Programs started by tests, each in a process group of its own, as a terminal starts them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../', import.meta.url))

export interface Program {
  child: ChildProcess
  /** What it printed so far, both streams. */
  output(): string
  /** Resolves to what the pattern finds in the output. */
  find(pattern: RegExp): Promise<RegExpExecArray>
  /** Sends a signal to the whole group, as Ctrl-C does. */
  signalGroup(signal: NodeJS.Signals): void
  /** Resolves to the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
}

const started = new Set<Program>()

export function startProgram(args: readonly string[], env: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, [...args], {
    cwd: repository,
    detached: true,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
  }
  const program: Program = {
    child,
    output: () => text,
    async find(pattern) {
      for (;;) {
        const found = pattern.exec(text)
        if (found) return found
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`It ended without ${pattern}:\n${text}`)
        await wait(20)
      }
    },
    signalGroup: (signal) => void process.kill(-child.pid!, signal),
    ended: once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals),
  }
  started.add(program)
  return program
}

/** Ends what tests left running. */
export function endPrograms(): void {
  for (const { child } of started) {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // The whole group has ended.
    }
  }
  started.clear()
}

/** Command lines of the living processes of a group; null where there is no /proc to tell. */
export function groupOf(group: number): string[] | null {
  if (process.platform !== 'linux') return null
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((pid) => {
      try {
        const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
        return Number(pgrp) === group && state !== 'Z'
          ? [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')]
          : []
      } catch {
        return []
      }
    })
}

/** Ours, less what would point at another server. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(GLIM_|MINIFLARE_|npm_|INIT_CWD|VITEST|NODE_OPTIONS)/.test(name)),
  )
}
