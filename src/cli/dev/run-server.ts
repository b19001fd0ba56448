/**
 * The life of a server in the foreground: everything that can be wrong is found before anything is started, then it comes
 * up, announces itself, and drains when it is asked to stop.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { stop as stopBundler } from 'esbuild'
import { isServingError } from '#contracts/errors.ts'
import { type GlimClient, glimClient } from '#src/client/client.ts'
import type { Hub } from '#src/client/sources/hub-source.ts'
import { failed } from '../failure.ts'
import { startServer } from '../start-server.ts'
import { originOf, packageRoot } from '../surroundings.ts'
import type { Terminal } from '../terminal.ts'
import { adminToken } from './admin-token.ts'
import { endOrphans } from './end-orphans.ts'
import { requireFreePort } from './require-free-port.ts'
import { lockStateFolder } from './server-lock.ts'
import { installStarters } from './starters.ts'
import { openStateFolder } from './state-folder.ts'
import { stopRequest } from './stop-request.ts'

export interface RunOptions {
  host: string
  port: number
  home: string
  givenToken: string | undefined
  idleMs: number
  hub: Hub
  cacheBytes: number
  isolateBytes: number
  runMs: number
  withStarters: boolean
  underNpm: boolean
  terminal: Terminal
  announce(ready: { url: string; endpoints: readonly string[]; seconds: number }): void
}

const drainMs = 10_000
/** After so long without health it is said what the matter is; the server stays, for it may have to be repaired through it. */
const patienceMs = 30_000

/** Resolves when it was asked to stop and has. @throws {Failure} where it cannot start. */
export async function runServer(options: RunOptions): Promise<void> {
  const { host, port, home, idleMs, withStarters, terminal } = options
  const startedMs = performance.now()
  const stop = stopRequest(options)
  await openStateFolder(home)
  const unlock = lockStateFolder(home)
  const token = await adminToken(home, options.givenToken)
  const orphans = await endOrphans(home)
  if (orphans > 0)
    terminal.note('The last server of this state folder was killed; what it left running has been ended.')
  await requireFreePort(host, port)
  terminal.note(`state in ${home}, administrator token in ${token.place}`)

  const log = (line: string) => terminal.note(line)
  const server = await startServer({
    host,
    port,
    home,
    adminTokenHash: token.hash,
    idleMs,
    expectStarters: withStarters,
    hub: options.hub,
    cacheBytes: options.cacheBytes,
    isolateBytes: options.isolateBytes,
    runMs: options.runMs,
    log,
  }).catch((error: Error) => {
    throw failed('SERVER_FAILED', `The server could not be started: ${error.message}`)
  })
  // The bundler's process would wait beside the server for ever.
  await stopBundler()
  const actualPort = Number(server.url.port)
  const client = glimClient({ url: originOf(host, actualPort), token: token.value })
  const comeUp = async () => {
    if (withStarters) await installStarters({ client, models: join(packageRoot, 'models'), terminal })
    await healthy(client, terminal)
    const endpoints = (await client.listEndpoints()).map(({ name }) => name)
    options.announce({ url: urlOf(host, actualPort), endpoints, seconds: (performance.now() - startedMs) / 1_000 })
  }
  try {
    await Promise.race([comeUp(), stop.requested])
    await stop.requested
  } catch (error) {
    // What comes up while the server is being stopped fails, as it must.
    if (!stop.isRequested()) {
      await server.stop()
      throw error
    }
  }
  terminal.progress(null)
  terminal.note('draining')
  await server.drain(drainMs)
  unlock()
}

/** Resolves once every starter endpoint answers. */
async function healthy(client: GlimClient, terminal: Terminal): Promise<void> {
  const sayAt = performance.now() + patienceMs
  for (let said = false; ; ) {
    try {
      await client.health()
      return
    } catch (error) {
      if (!isServingError(error)) throw error
      if (!said && performance.now() > sayAt) {
        said = true
        terminal.note(`The server runs but is not ready yet: ${error.message}`)
      }
    }
    await wait(50)
  }
}

/** The address as it was asked for, with the port that it got. */
function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
