/** The registry in a real Durable Object, in workerd, against the same life on Node's SQLite. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Miniflare } from '#src/cli/miniflare.ts'
import { NodeDatabase } from '#src/registry/stores/node.ts'
import { tellScenario } from './scenario.ts'

const worker = `
  import { DurableObject } from 'cloudflare:workers'
  import { durableObjectDatabase } from '#src/registry/stores/durable-object.ts'
  import { tellScenario } from './scenario.ts'
  export class RegistryObject extends DurableObject {
    fetch() { return Response.json(tellScenario(durableObjectDatabase(this.ctx.storage))) }
  }
  export default { fetch: (request, env) => env.REGISTRY.getByName('registry').fetch(request) }
`

let miniflare: Miniflare

beforeAll(async () => {
  const { outputFiles } = await build({
    stdin: { contents: worker, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:workers'],
  })
  miniflare = new Miniflare({
    cf: false,
    workers: [
      {
        config: {
          name: 'registry-test',
          compatibilityDate: '2026-11-01',
          manifest: { mainModule: 'main.js', modules: { 'main.js': { type: 'esm', contents: outputFiles[0]!.text } } },
          env: { REGISTRY: { type: 'durable-object', worker: 'registry-test', exportName: 'RegistryObject' } },
          exports: { RegistryObject: { type: 'durable-object', storage: 'sqlite' } },
        },
      },
    ],
  })
}, 60_000)

afterAll(() => miniflare?.dispose())

describe('the registry in a Durable Object', () => {
  it('answers every call as it does on Node', async () => {
    const response = await miniflare.dispatchFetch('http://registry/')
    const inWorkerd = await response.text()
    expect(response.status, inWorkerd).toBe(200)
    const onNode: unknown = JSON.parse(JSON.stringify(tellScenario(new NodeDatabase(':memory:'))))
    expect(JSON.parse(inWorkerd)).toEqual(onNode)
  }, 60_000)
})
