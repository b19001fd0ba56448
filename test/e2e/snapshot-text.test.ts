import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createEndpoint, importFolder } from '../support/import-folder.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { loadsOf, scaledToZero } from '../support/snapshots.ts'

const name = 'story'
let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ idleMs: 200 })
})
afterAll(() => server.stop())

it('a language model writes from its snapshot what it wrote when it was loaded, the likeliest text and a drawn one', async () => {
  const imported = await importFolder(server, fileURLToPath(new URL('../../models/story/', import.meta.url)), name)
  expect(imported.status, imported.text).toBe(200)
  await createEndpoint(server, name, name)
  const loaded = await texts()
  expect(loaded[0]).not.toBe(loaded[1])
  expect(await loadsOf({ server, name })).not.toContain('from its snapshot')
  await vi.waitFor(
    async () => {
      await scaledToZero({ server, name })
      expect(await texts()).toEqual(loaded)
      expect((await loadsOf({ server, name })).at(-1)).toBe('from its snapshot')
    },
    { timeout: 20_000, interval: 2_000 },
  )
})

async function texts(): Promise<string[]> {
  return Promise.all(
    [{ temperature: 0 }, { temperature: 1, seed: 7 }].map(async (sampling) => {
      const body = { model: name, prompt: 'The old king had', max_tokens: 40, ...sampling }
      const { status, text, json } = await server.send('POST', '/v1/completions', body)
      expect(status, text).toBe(200)
      return json.choices[0].text as string
    }),
  )
}
