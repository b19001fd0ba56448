/**
 * Ends a workerd that outlived the server which started it: it would hold the port and the registry's files.
 *
 * Only a process that runs our workerd and carries this very state folder in its environment is touched, and only by who
 * holds the folder's lock, so that it cannot belong to a living server. Needs /proc; elsewhere the busy port is reported.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stateVariable } from '../workerd-process.ts'

/** How long it may finish its requests before it is killed. */
const graceMs = 2_000

/** Resolves to how many there were, once they are gone. */
export async function endOrphans(home: string): Promise<number> {
  const names = await readdir('/proc').catch(() => [])
  const candidates = await Promise.all(names.map(async (name) => ((await isOrphan(name, home)) ? [Number(name)] : [])))
  const orphans = candidates.flat()
  await Promise.all(orphans.map((pid) => end(pid, home)))
  return orphans.length
}

async function isOrphan(pid: string, home: string): Promise<boolean> {
  if (!/^[0-9]+$/.test(pid)) return false
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '')
  if (basename(program) !== 'workerd') return false
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  return environment.split('\0').includes(`${stateVariable}=${home}`)
}

async function end(pid: number, home: string): Promise<void> {
  send(pid, 'SIGTERM')
  const killAt = Date.now() + graceMs
  while (await isOrphan(String(pid), home)) {
    if (Date.now() > killAt) send(pid, 'SIGKILL')
    await wait(50)
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone by itself meanwhile.
  }
}
