/** `glim models import` as a program: from a hub over HTTP into a server, until an endpoint answers. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endPrograms, startProgram } from '../cli/child.ts'
import { createEndpoint } from '../support/import-folder.ts'
import { classifierFiles, scaleModel } from '../support/onnx-model.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedJson, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'
import { folderRepository, memoryFile, type Repository, startTestHub, type TestHub } from '../support/test-hub.ts'

const shared = 'fixture-bert-random-sequence_classification'
const token = 'hf_token_of_the_test'
const classifier: Repository = new Map(
  classifierFiles().map(({ path, bytes }) => [path, memoryFile(bytes, { lfs: path.endsWith('.onnx') })]),
)

let server: TestServer
let hub: TestHub
beforeAll(async () => {
  hub = await startTestHub({
    'test/classifier': classifier,
    'test/scale': new Map([['model.onnx', memoryFile(scaleModel(3))]]),
    ...(haveSharedModels ? { 'test/bert': await folderRepository(sharedModelPath(shared, '')) } : {}),
  })
  hub.faults.token = token
  server = await startTestServer({ hub: { url: hub.url, token } })
})
afterAll(async () => {
  endPrograms()
  await Promise.all([hub?.stop(), server?.stop()])
})

async function glim(...args: string[]) {
  const { hostname, port } = new URL(server.url)
  const program = startProgram(['src/cli/glim.mjs', ...args], {
    GLIM_HOST: hostname,
    GLIM_PORT: port,
    GLIM_TOKEN: adminTestToken,
    GLIM_HUB_URL: hub.url,
    GLIM_HUB_TOKEN: token,
  })
  return { exitCode: await program.ended, output: program.output() }
}

describe('glim models import', () => {
  it('brings a model from a hub, pinned to its commit, and its endpoint answers', async () => {
    const imported = await glim('models', 'import', 'hf:test/classifier', '--name', 'classifier', '--upload')
    expect(imported).toMatchObject({ exitCode: 0 })
    expect(imported.output).toContain(`hf:test/classifier@${hub.commit}`)
    expect(imported.output).not.toContain(token)
    expect((await createEndpoint(server, 'classifier', 'classifier')).json.state.ready).toBe('READY')
    const body = { inputs: { text: ['good'] } }
    const reply = await server.send('POST', '/serving-endpoints/classifier/invocations', body)
    expect(reply.json.predictions[0][0].label).toBe('positive')
  })

  it.skipIf(!haveSharedModels)(`brings a BERT from a hub (${withoutSharedModels})`, async () => {
    const imported = await glim('models', 'import', 'hf:test/bert@main', '--name', 'bert', '--upload', '--json')
    expect(imported).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(imported.output)).toMatchObject({
      task: 'text-classification',
      source: `hf:test/bert@${hub.commit}`,
    })
    await createEndpoint(server, 'bert', 'bert')
    const reply = await server.send('POST', '/serving-endpoints/bert/invocations', { inputs: { text: ['hello'] } })
    expect(reply.json.predictions).toHaveLength(1)
    const { id2label } = sharedJson(shared, 'config.json') as { id2label: Record<string, string> }
    expect(Object.values(id2label)).toContain(reply.json.predictions[0][0].label)
  })

  it('leaves the weights of a hub to the server, which fetches them for the first endpoint', async () => {
    hub.files.clear()
    const imported = await glim('models', 'import', 'hf:test/classifier', '--name', 'lazy')
    expect(imported).toMatchObject({ exitCode: 0 })
    expect(hub.files.has('model.onnx')).toBe(false)
    await createEndpoint(server, 'lazy', 'lazy')
    const reply = await server.send('POST', '/serving-endpoints/lazy/invocations', { inputs: { text: ['bad'] } })
    expect(reply.json.predictions[0][0].label).toBe('negative')
    expect(hub.files.get('model.onnx')!.requests).toBe(1)
  })

  it('with --prefetch has the server fetch and run the model at once', async () => {
    hub.files.clear()
    const { exitCode, output } = await glim('models', 'import', 'hf:test/scale', '--name', 'prefetched', '--prefetch')
    expect(output).toContain('x float32[rows, 2]')
    expect(exitCode).toBe(0)
    expect(hub.files.get('model.onnx')!.requests).toBe(1)
  })

  it('brings an MLflow model, which answers its own example', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'glim-mlflow-'))
    await writeFile(join(folder, 'model.onnx'), scaleModel(3))
    await writeFile(join(folder, 'input_example.json'), '[[1.5, 2]]')
    const inputs = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}, "name": "x"}]'
    await writeFile(
      join(folder, 'MLmodel'),
      `flavors:\n  onnx:\n    data: model.onnx\nsignature:\n  inputs: '${inputs}'\n`,
    )
    const { exitCode, output } = await glim('models', 'import', folder, '--name', 'scale-mlflow', '--json')
    await rm(folder, { recursive: true })
    expect(JSON.parse(output)).toMatchObject({ graph: 'model.onnx', input_example: { inputs: [[1.5, 2]] } })
    expect(exitCode).toBe(0)
  })

  it('refuses wrong bytes and registers nothing', async () => {
    hub.faults.wrongByteAt = 100
    const { exitCode, output } = await glim('models', 'import', 'hf:test/scale', '--name', 'wrong', '--upload')
    delete hub.faults.wrongByteAt
    expect(output).toMatch(/^glim: model\.onnx should be sha256:[0-9a-f]{64} and is sha256:[0-9a-f]{64}/)
    expect(exitCode).toBe(1)
    expect((await server.send('GET', '/api/2.0/glim/models/wrong')).status).toBe(404)
  })

  it('brings a graph from a URL and says what it pinned', async () => {
    const origin = createServer((_, response) => response.end(scaleModel(3))).listen(0, '127.0.0.1')
    await new Promise((resolve) => origin.once('listening', resolve))
    const { port } = origin.address() as { port: number }
    const url = `http://127.0.0.1:${port}/scale.onnx`
    const { exitCode, output } = await glim('models', 'import', `${url}?key=hidden`, '--name', 'scale')
    origin.close()
    expect(output).toMatch(/No --digest was given, so the version is pinned to what came: sha256:[0-9a-f]{64}/)
    expect(output).toContain(`source   ${url}\n`)
    expect(output).not.toContain('hidden')
    expect(exitCode).toBe(0)
  })
})
