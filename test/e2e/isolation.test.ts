/** What code inside an endpoint's isolate can reach: the files of its own version, and nothing else. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { json } from '../support/onnx-model.ts'
import type { ProbeReport, ProbeTargets } from '../support/probe-endpoint.ts'
import { adminTestToken, builtWorkers, startTestServer, type TestServer } from '../support/server.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const secretWeights = 'weights-of-the-other-version'
const secretLabels = 'labels-of-the-other-version'

let server: TestServer
let report: ProbeReport

beforeAll(async () => {
  const workers = await builtWorkers()
  workers.host.modules['endpoint-tensor.js.txt'] = { type: 'text', contents: await probeSource() }
  server = await startTestServer({ workers })
  const other = await importFiles(
    server,
    [{ path: 'model.onnx', bytes: bytes(secretWeights) }, json('labels.json', [secretLabels])],
    'other',
  )
  await importFiles(server, [{ path: 'model.onnx', bytes: bytes('own weights') }], 'probe')
  await createEndpoint(server, 'other', 'other')
  await createEndpoint(server, 'probe', 'probe')
  const targets: ProbeTargets = {
    url: server.url.href,
    token: adminTestToken,
    manifest: other.json.manifest,
    digest: `sha256:${createHash('sha256').update(secretWeights).digest('hex')}`,
    path: 'labels.json',
  }
  const reply = await server.send('POST', '/serving-endpoints/probe/invocations', { inputs: [JSON.stringify(targets)] })
  expect(reply.status).toBe(200)
  report = JSON.parse(reply.json.predictions.x[0])
})
afterAll(() => server.stop())

async function probeSource(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../support/probe-endpoint.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:*', 'node:*'],
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]!.text
}

describe('an endpoint isolate', () => {
  it('reads the files of its own version', () => {
    expect(report.ownWeights).toBe('own weights')
  })

  it('reaches no network, no cache, no other version, no code of its own making', () => {
    const got = Object.entries(report.attempts).filter(([, outcome]) => !outcome.startsWith('refused: '))
    expect(Object.fromEntries(got)).toEqual({})
    expect(Object.keys(report.attempts).length).toBeGreaterThan(25)
  })

  it('never sees a byte of another version, nor a secret of the server', () => {
    const all = JSON.stringify(report)
    const adminHash = createHash('sha256').update(adminTestToken).digest('hex')
    for (const secret of [secretWeights, secretLabels, adminHash, adminTestToken, server.home])
      expect(all).not.toContain(secret)
  })

  it('has two bindings, its spec and its weights', () => {
    expect(report.envKeys.sort()).toEqual(['SPEC', 'WEIGHTS'])
  })

  it('has no Node, and no globals beyond the platform', () => {
    for (const name of ['process', 'require', 'Buffer', 'global', 'Deno', 'Bun'])
      expect(report.globals).not.toContain(name)
  })

  it('left the store as it was', async () => {
    const again = await server.send('POST', '/serving-endpoints/probe/invocations', { inputs: [''] })
    expect(again.status).toBe(200)
    const digest = `sha256:${createHash('sha256').update('own weights').digest('hex')}`
    expect((await server.send('POST', '/api/2.0/glim/blobs/missing', { digests: [digest] })).json).toEqual({
      missing: [],
    })
  })
})
