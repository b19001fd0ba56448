/** A server that is killed while it writes a snapshot: after the restart there is no half of one, and later there is a whole one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { adminTestToken, sendTo, type TestServer } from '../support/server.ts'
import { blobFiles, loadsOf, scaledToZero } from '../support/snapshots.ts'

const program = fileURLToPath(new URL('../support/server-process.ts', import.meta.url))
const folder = fileURLToPath(new URL('../../models/embed/', import.meta.url))
const name = 'embed'
/** Shards of the model's own files, and its manifest. */
const modelBlobs = 10

let home: string
let url: URL
let running: ChildProcess
const server = {
  send: (method, path, body, options) => sendTo(new URL(path, url), method, body, options),
} as TestServer
const model = { server, name }

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'glim-snapshot-'))
  await start()
})
afterAll(async () => {
  await kill()
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
})

describe.skipIf(process.platform !== 'linux')('a server that is killed while it writes a snapshot', () => {
  it('answers after the restart, and starts from a whole snapshot later', async () => {
    // The import's own first load asks for the snapshot.
    const unfinished = importFolder(server, folder, name).catch(() => undefined)
    await vi.waitFor(async () => expect((await blobFiles(home)).length).toBeGreaterThan(modelBlobs + 2), {
      timeout: 20_000,
      interval: 2,
    })
    await kill()
    await unfinished

    await start()
    const imported = await importFolder(server, folder, name)
    expect([200, 409], imported.text).toContain(imported.status)
    await createEndpoint(server, name, name)
    const answer = await query()
    await vi.waitFor(
      async () => {
        await scaledToZero(model)
        expect(await query()).toBe(answer)
        const loads = await loadsOf(model)
        expect(loads.join()).not.toContain('not used')
        expect(loads.at(-1)).toBe('from its snapshot')
      },
      { timeout: 30_000, interval: 1_600 },
    )
  })
})

async function query(): Promise<string> {
  const reply = await server.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: ['a small light'] })
  expect(reply.status, reply.text).toBe(200)
  return reply.text
}

async function start(): Promise<void> {
  const idleMs = '200'
  running = spawn(process.execPath, [program, home, '0', adminTestToken, idleMs], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const [line] = await once(running.stdout!, 'data')
  url = new URL(String(line).trim())
}

/** The whole process group at once, as a power cut would. */
async function kill(): Promise<void> {
  const ended = once(running, 'exit')
  process.kill(-running.pid!, 'SIGKILL')
  await ended
}
