/** The command line against a real server, from the first start to the last: one story, each step on what the last left. */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'
import { endPrograms, groupOf, type Program, startProgram } from './child.ts'

let folder: string
let server: Program
let port: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-cli-'))
})
afterAll(async () => {
  endPrograms()
  await rm(folder, { recursive: true, force: true })
})

const home = () => join(folder, 'home')

async function start(...flags: string[]): Promise<Program> {
  server = startProgram(['src/cli/glim.mjs', 'dev', '--port', '0', '--home', home(), ...flags])
  port = (await server.find(/^glim ready on http:\/\/127\.0\.0\.1:([0-9]+)$/m))[1]!
  return server
}

async function glim(...args: string[]): Promise<{ exitCode: number | string; out: string }> {
  const program = startProgram(['src/cli/glim.mjs', ...args], { GLIM_PORT: port, GLIM_HOME: home() })
  return { exitCode: await program.ended, out: program.output() }
}

async function json(...args: string[]) {
  const { exitCode, out } = await glim(...args, '--json')
  expect([exitCode, out]).toEqual([0, expect.stringMatching(/^[^\n]+\n$/)])
  return JSON.parse(out)
}

describe.skipIf(!haveSharedModels)(`a server of one model (${withoutSharedModels})`, () => {
  const source = sharedModelPath('fixture-bert-random-sequence_classification', '.')

  it('starts with a private folder and a token, and its last line says where it listens', async () => {
    await start('--no-starters')
    expect(server.output()).toMatch(/\nglim ready on http:\/\/127\.0\.0\.1:[0-9]+\n$/)
    expect(server.output()).toContain(`administrator token in ${join(home(), 'token')}`)
    const modes = await Promise.all(
      [home(), join(home(), 'token')].map(async (path) => ((await stat(path)).mode & 0o777).toString(8)),
    )
    expect(modes).toEqual(['700', '600'])
  })

  it('imports the model, serves and answers it', async () => {
    const version = await json('models', 'import', source, '--name', 'labels')
    expect(version).toMatchObject({
      name: 'labels',
      version: '1',
      task: 'text-classification',
      graph: 'onnx/model.onnx',
    })
    const endpoint = await json('endpoints', 'create', 'my-endpoint', '--model', 'glim:labels/1')
    expect(endpoint.state).toEqual({ ready: 'READY', config_update: 'NOT_UPDATING' })
    const { predictions } = await json('invoke', 'my-endpoint', '["one", "two"]')
    expect(predictions).toHaveLength(2)
  })

  it('takes the same import again as the same version', async () => {
    const again = await json('models', 'import', source, '--name', 'labels', '--version', '1')
    expect(again.version).toBe('1')
    expect((await json('models', 'list')).models).toMatchObject([{ name: 'labels', versions: ['1'] }])
  })

  it('lists and shows for people', async () => {
    expect((await glim('endpoints', 'list')).out).toMatch(/^NAME .*\nmy-endpoint {2}labels\/1 {2}labels-1=100 {2}Ready/)
    expect((await glim('models', 'show', 'labels/1')).out).toMatch(
      /labels version 1\n {2}task {5}text-classification\n/,
    )
  })

  it('refuses with 1 and the reason', async () => {
    const missing = await glim('endpoints', 'create', 'other', '--model', 'labels/7')
    expect(missing).toEqual({ exitCode: 1, out: 'glim: Model labels has no version 7 (it has 1).\n' })
    const inUse = await glim('models', 'remove', 'labels', '--json')
    expect([inUse.exitCode, JSON.parse(inUse.out)]).toEqual([
      1,
      { error_code: expect.any(String), message: expect.stringContaining('my-endpoint') },
    ])
  })

  it('makes tokens that work until they are revoked', async () => {
    const { token_value, token_info } = await json('tokens', 'create', '--user', 'bob', '--comment', 'test')
    const list = () =>
      fetch(`http://127.0.0.1:${port}/api/2.0/serving-endpoints`, {
        headers: { authorization: `Bearer ${token_value}` },
      })
    expect((await list()).status).toBe(200)
    await json('tokens', 'revoke', token_info.token_id)
    expect((await list()).status).toBe(401)
  })

  it('refuses a second server of the same folder, and one on the same port', async () => {
    const second = startProgram(['src/cli/glim.mjs', 'dev', '--port', '0', '--home', home()])
    expect([await second.ended, second.output()]).toEqual([
      1,
      expect.stringMatching(/^glim: Another glim server runs with the state folder .*\n$/),
    ])
    const third = startProgram(['src/cli/glim.mjs', 'dev', '--port', port, '--home', join(folder, 'third')])
    expect([await third.ended, third.output()]).toEqual([
      1,
      `glim: Port ${port} on 127.0.0.1 is in use by another program. Choose another with --port or GLIM_PORT.\n`,
    ])
  })

  it('has everything again after all of it was killed', async () => {
    server.signalGroup('SIGKILL')
    await server.ended
    await start('--no-starters')
    expect((await json('invoke', 'my-endpoint', '"one"')).predictions).toHaveLength(1)
  })

  it('has everything again, and one workerd, after Node alone was killed', async () => {
    server.child.kill('SIGKILL')
    const group = server.child.pid!
    await server.ended
    await start('--no-starters')
    expect(groupOf(group) ?? []).toEqual([])
    expect((await json('invoke', 'my-endpoint', '"one"')).predictions).toHaveLength(1)
  })

  it('exits with 0 at Ctrl-C and leaves no process', async () => {
    server.signalGroup('SIGINT')
    expect(await server.ended).toBe(0)
    expect(server.output()).toMatch(/\ndraining\n$/)
    expect(groupOf(server.child.pid!) ?? []).toEqual([])
    expect(await glim('models', 'list')).toEqual({
      exitCode: 3,
      out: `glim: No glim server answers at http://127.0.0.1:${port}. Start one with: npm start\n`,
    })
  })
})
