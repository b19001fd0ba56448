/**
 * What was acknowledged is there after a crash. Clients work in several lanes, the server dies at a random moment, and then
 * everything that a client was told is looked for.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { importFiles } from '../support/import-folder.ts'
import { scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, sendTo, type TestServer } from '../support/server.ts'

const program = fileURLToPath(new URL('../support/server-process.ts', import.meta.url))

let home: string
let port: number
let process_: ChildProcess
let client: Pick<TestServer, 'send'>

/** All that a client got a 200 for, over all crashes. */
const acknowledged = { tokens: [] as string[], versions: [] as string[], endpoints: [] as string[] }
let names = 0

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'glim-durability-'))
  port = await freePort()
  client = {
    send: (method, path, body, options) => sendTo(new URL(path, `http://127.0.0.1:${port}`), method, body, options),
  }
  await start()
  await importFiles(client as TestServer, [{ path: 'model.onnx', bytes: scaleModel(2) }], 'base')
})
afterAll(async () => {
  await killAll()
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
})

describe.skipIf(process.platform !== 'linux')('what was acknowledged', () => {
  const moments = [30, 400, 900].map((least) => Math.round(least + Math.random() * 300))

  it.each(moments.slice(1))(
    'survives the death of workerd after %d ms of work, and the server comes back by itself',
    async (ms) => {
      await workUntil(ms, killWorkerd)
      await answering()
      await expectAcknowledged()
    },
  )

  it.each(moments.slice(0, 2))('survives the death of everything after %d ms of work', async (ms) => {
    await workUntil(ms, killAll)
    await start()
    await expectAcknowledged()
  })

  it('includes a deployment that was in progress: it ends after the restart', async () => {
    const names = Array.from({ length: 8 }, (_, at) => `part-${at}`)
    const created = await client.send('POST', '/api/2.0/serving-endpoints', {
      name: 'unfinished',
      config: {
        served_entities: names.map((name) => ({ name, entity_name: 'base', entity_version: '1' })),
        traffic_config: {
          routes: names.map((name, at) => ({ served_entity_name: name, traffic_percentage: at === 0 ? 100 : 0 })),
        },
      },
    })
    await killAll()
    expect(created.json.state.config_update).toBe('IN_PROGRESS')
    await start()
    acknowledged.endpoints.push('unfinished')
    await expectAcknowledged()
  })

  it('was something of every kind', () => {
    for (const [kind, all] of Object.entries(acknowledged)) expect(all.length, kind).toBeGreaterThan(1)
  })
})

/** Three lanes of requests until the server is killed under them. */
async function workUntil(ms: number, kill: () => Promise<void>): Promise<void> {
  let isOver = false
  const lane = async (step: (name: string) => Promise<void>) => {
    while (!isOver) await step(`n${names++}`).catch(() => {})
  }
  const lanes = [
    lane(async (name) => {
      const { status, json } = await client.send('POST', '/api/2.0/token/create', { user_name: name })
      if (status === 200) acknowledged.tokens.push(json.token_value)
    }),
    lane(async (name) => {
      const { status } = await importFiles(
        client as TestServer,
        [{ path: 'model.onnx', bytes: scaleModel(names) }],
        name,
      )
      if (status === 200) acknowledged.versions.push(name)
    }),
    lane(async (name) => {
      const config = { served_entities: [{ entity_name: 'base', entity_version: '1' }] }
      const { status } = await client.send('POST', '/api/2.0/serving-endpoints', { name, config })
      if (status === 200) acknowledged.endpoints.push(name)
      // A dozen endpoints are crash enough.
      if (acknowledged.endpoints.length > 12) isOver = true
    }),
  ]
  await new Promise((resolve) => setTimeout(resolve, ms))
  await kill()
  isOver = true
  await Promise.all(lanes)
}

async function expectAcknowledged(): Promise<void> {
  const { tokens, versions, endpoints } = acknowledged
  const statuses = await Promise.all(
    tokens.map(async (token) => (await client.send('GET', '/v1/models', undefined, { token })).status),
  )
  expect(statuses.filter((status) => status !== 200)).toEqual([])
  const { models } = (await client.send('GET', '/api/2.0/glim/models')).json
  expect(models.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(versions))
  await Promise.all(
    endpoints.map(async (name) => {
      await vi.waitFor(
        async () => {
          const { json } = await client.send('GET', `/api/2.0/serving-endpoints/${name}`)
          expect(json.state, name).toEqual({ ready: 'READY', config_update: 'NOT_UPDATING' })
        },
        { timeout: 25_000, interval: 50 },
      )
      const reply = await client.send('POST', `/serving-endpoints/${name}/invocations`, { inputs: [[1, 2]] })
      expect(reply.json).toEqual({ predictions: { y: [[2, 4]] } })
    }),
  )
  // The bytes too, not only the rows: the newest version serves.
  const newest = versions.at(-1)
  if (newest === undefined) return
  const name = `serves-${newest}-${names++}`
  await client.send('POST', '/api/2.0/serving-endpoints', {
    name,
    config: { served_entities: [{ entity_name: newest, entity_version: '1' }] },
  })
  await vi.waitFor(
    async () => expect((await client.send('GET', `/api/2.0/serving-endpoints/${name}`)).json.state.ready).toBe('READY'),
    { timeout: 10_000, interval: 50 },
  )
}

async function start(): Promise<void> {
  process_ = spawn(process.execPath, [program, home, String(port), adminTestToken], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await Promise.race([
    once(process_.stdout!, 'data'),
    once(process_, 'exit').then(() => {
      throw new Error('the server did not start')
    }),
  ])
  await answering()
}

function answering(): Promise<unknown> {
  return vi.waitFor(async () => expect((await client.send('GET', '/health')).status).toBe(200), {
    timeout: 20_000,
    interval: 50,
  })
}

async function killAll(): Promise<void> {
  const gone = once(process_, 'exit')
  process.kill(-process_.pid!, 'SIGKILL')
  await gone
}

/** Every process of the group whose name is workerd. */
async function killWorkerd(): Promise<void> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const [, name, , group] = /^\d+ \((.*)\) \S (\d+) (\d+) /.exec(stat) ?? []
    if (name === 'workerd' && Number(group) === process_.pid) process.kill(Number(pid), 'SIGKILL')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
