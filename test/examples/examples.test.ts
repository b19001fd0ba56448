/** Every example runs against the starter endpoints and prints what a person would want to read. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** What the example's output says, by its folder. */
const says: Readonly<Record<string, RegExp>> = {
  'route-tickets': /card safety .*lost_or_stolen_card.*I can't find my card/,
  'drawn-digit': /^7 +█/m,
  'semantic-search': /how do I keep bread fresh\n +0\.\d\d +bread\.txt/,
  'sort-mail': /German: 2\n/,
  'tell-a-story': /^Once upon a time there was a fox who lived under an old tree.{100,}/s,
}

describe('the examples', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    for (const name of ['intent', 'digits', 'embed', 'language', 'story']) {
      await importFolder(server, join(root, 'models', name), name)
      await createEndpoint(server, name, name)
    }
  })
  afterAll(() => server.stop())

  it('are all checked here', () => {
    const folders = readdirSync(join(root, 'examples'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map(({ name }) => name).sort()).toEqual(Object.keys(says).sort())
  })

  it.each(Object.keys(says))('%s says what it promises', async (name) => {
    const { hostname, port } = server.url
    const env = { ...process.env, GLIM_HOST: hostname, GLIM_PORT: port, GLIM_TOKEN: adminTestToken }
    const { stdout } = await run(process.execPath, [join(root, 'examples', name, 'run.mjs')], { env })
    expect(stdout).toMatch(says[name]!)
  })
})
