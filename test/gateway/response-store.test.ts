/** The store of responses in a real Durable Object, in workerd: what it keeps, and its bounds. */
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Miniflare } from '#src/cli/miniflare.ts'

const worker = `
  export { ResponseStoreObject } from '../../workers/dispatcher/response-store-object.ts'
  export default {
    async fetch(request, env) {
      const { principal, calls } = await request.json()
      const store = env.STORE.getByName(principal)
      const results = []
      for (const [method, id, characters] of calls) {
        const body = method === 'put' ? [JSON.stringify({ id, text: 'x'.repeat(characters) })] : []
        results.push(method === 'has' ? (await store.get(id)) !== null : await store[method](id, ...body))
      }
      return Response.json(results)
    },
  }
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
          name: 'store-test',
          compatibilityDate: '2026-11-01',
          manifest: { mainModule: 'main.js', modules: { 'main.js': { type: 'esm', contents: outputFiles[0]!.text } } },
          env: { STORE: { type: 'durable-object', worker: 'store-test', exportName: 'ResponseStoreObject' } },
          exports: { ResponseStoreObject: { type: 'durable-object', storage: 'sqlite' } },
        },
      },
    ],
  })
}, 60_000)
afterAll(() => miniflare?.dispose())

/** `has` asks whether `get` has an answer, which may be long. */
type StoreCall = ['put', string, number] | ['get' | 'has' | 'delete', string]

async function told(principal: string, calls: readonly StoreCall[]): Promise<unknown[]> {
  const reply = await miniflare.dispatchFetch('http://store/', {
    method: 'POST',
    body: JSON.stringify({ principal, calls }),
  })
  expect(reply.status).toBe(200)
  return (await reply.json()) as unknown[]
}

describe('the store of responses', () => {
  it('gives back what was put, to its principal only, until it is deleted', async () => {
    expect(
      await told('user:ann', [
        ['put', 'a', 2],
        ['get', 'a'],
      ]),
    ).toEqual([true, '{"id":"a","text":"xx"}'])
    expect(
      await told('user:bob', [
        ['get', 'a'],
        ['delete', 'a'],
      ]),
    ).toEqual([null, false])
    expect(
      await told('user:ann', [
        ['delete', 'a'],
        ['delete', 'a'],
        ['get', 'a'],
      ]),
    ).toEqual([true, false, null])
  })

  it('keeps the newest thousand', async () => {
    const puts = Array.from({ length: 1_003 }, (_, index): StoreCall => ['put', `r${index}`, 1])
    await told('user:many', puts)
    const kept = await told(
      'user:many',
      ['r2', 'r3', 'r1002'].map((id): StoreCall => ['has', id]),
    )
    expect(kept).toEqual([false, true, true])
  })

  it('keeps the newest 64 MiB, and nothing that is longer than a row', async () => {
    const puts = Array.from({ length: 40 }, (_, index): StoreCall => ['put', `r${index}`, 1_800_000])
    await told('user:large', puts)
    const kept = await told(
      'user:large',
      puts.map(([, id]): StoreCall => ['has', id]),
    )
    expect(kept.filter(Boolean)).toHaveLength(37)
    expect(kept.at(-1)).toBe(true)
    expect(
      await told('user:large', [
        ['put', 'huge', 1_900_001],
        ['get', 'huge'],
      ]),
    ).toEqual([false, null])
  })
})
