/** A workerd of our own, started from a configuration as `workerd serve` starts it on a server. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import workerd from 'workerd'

export interface WorkerdProcess {
  pid: number
  stop(): void
}

/** Writes the files beside the configuration and starts workerd there; resolves at once. */
export function startWorkerd(config: string, files: Readonly<Record<string, string | Uint8Array>>): WorkerdProcess {
  const folder = mkdtempSync(join(tmpdir(), 'glim-bench-'))
  for (const [name, contents] of Object.entries({ ...files, 'config.capnp': config }))
    writeFileSync(join(folder, name), contents)
  const child: ChildProcess = spawn(workerd.default, ['serve', '--experimental', 'config.capnp'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return {
    pid: child.pid!,
    stop() {
      child.kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves once the address answers HTTP. */
export async function answering(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await (await fetch(url)).arrayBuffer()
      return
    } catch (error) {
      if (attempt > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
