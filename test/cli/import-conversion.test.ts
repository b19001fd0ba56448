/** `glim models import` of graphs that it converts on their way, as a program against a whole server. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { graphBuilder } from '#src/compiler/onnx/graph-builder.ts'
import { createEndpoint, digestOf } from '../support/import-folder.ts'
import { adminTestToken, startTestServer, type TestServer } from '../support/server.ts'
import { haveSharedModels, sharedModelPath, withoutSharedModels } from '../support/shared-models.ts'
import { memoryFile, startTestHub, type TestHub } from '../support/test-hub.ts'
import { endPrograms, startProgram } from './child.ts'

/** `y = x · W` for rows of 64, where W adds up all of them in each of its 32 columns. */
function sumModel(): Uint8Array {
  const graph = graphBuilder()
  const x = graph.input('x', 'float32', ['rows', 64])
  const W = graph.constant('W', { dtype: 'float32', shape: [64, 32], values: new Float32Array(64 * 32).fill(1) })
  graph.add('MatMul', [x, W], { outputs: ['y'] })
  graph.output('y', 'float32', ['rows', 32])
  return graph.bytes()
}

let server: TestServer
let hub: TestHub
let folder: string
beforeAll(async () => {
  hub = await startTestHub({ 'test/sum': new Map([['onnx/model.onnx', memoryFile(sumModel(), { lfs: true })]]) })
  server = await startTestServer({ hub: { url: hub.url } })
  folder = await mkdtemp(join(tmpdir(), 'glim-conversion-'))
  await mkdir(join(folder, 'sum/onnx'), { recursive: true })
  await writeFile(join(folder, 'sum/onnx/model.onnx'), sumModel())
})
afterAll(async () => {
  endPrograms()
  await Promise.all([hub?.stop(), server?.stop(), rm(folder, { recursive: true })])
})

async function glim(...args: string[]) {
  const { hostname, port } = new URL(server.url)
  const program = startProgram(['src/cli/glim.mjs', ...args], {
    GLIM_HOST: hostname,
    GLIM_PORT: port,
    GLIM_TOKEN: adminTestToken,
    GLIM_HUB_URL: hub.url,
  })
  return { exitCode: await program.ended, output: program.output() }
}

async function imported(...args: string[]) {
  const { exitCode, output } = await glim('models', 'import', ...args, '--json')
  expect(exitCode, output).toBe(0)
  return JSON.parse(output)
}

const artifactsOf = async (name: string) =>
  (await server.send('GET', `/api/2.0/glim/models/${name}/versions/1`)).json.size_bytes as number

const question = { inputs: { x: [Array.from({ length: 64 }, (_, at) => at / 64)] } }
const sum = 31.5

describe('glim models import --dtype q8 of a source with an fp32 graph only', () => {
  it('quantises it, tells so in the version, and its endpoint answers', async () => {
    const version = await imported(join(folder, 'sum'), '--name', 'sum', '--dtype', 'q8')
    expect(version.graph).toBe('onnx/model_glim.onnx')
    expect(version.comment).toMatch(
      new RegExp(`^onnx/model.onnx ${digestOf(sumModel())}: quantised to int8 by row \\(1 products, 0 tables`),
    )
    await createEndpoint(server, 'sum', 'sum')
    const reply = await server.send('POST', '/serving-endpoints/sum/invocations', question)
    expect(reply.status, reply.text).toBe(200)
    const [first] = JSON.stringify(reply.json).match(/\d+\.\d+/)!
    expect(Math.abs(Number(first) - sum)).toBeLessThan(0.2)
  })

  it('is the same version when it is done again', async () => {
    const args = [join(folder, 'sum'), '--name', 'again', '--dtype', 'q8', '--version', '1', '--optimize', 'always']
    const [once, twice] = [await imported(...args), await imported(...args)]
    expect(once.graph).toBe('onnx/model_glim.ort')
    expect(twice.manifest).toBe(once.manifest)
  })

  it('of a hub brings the graph here with --upload, and without it says how', async () => {
    const { exitCode, output } = await glim('models', 'import', 'hf:test/sum', '--name', 'lazy', '--dtype', 'q8')
    expect(exitCode).toBe(2)
    expect(output).toContain('Add --upload to have the fp32 one downloaded and quantised here.')
    const version = await imported('hf:test/sum', '--name', 'hub-sum', '--dtype', 'q8', '--upload')
    expect(version).toMatchObject({
      graph: 'onnx/model_glim.onnx',
      comment: expect.stringMatching(/quantised to int8/),
    })
  })
})

describe('glim models import', () => {
  it('leaves a small graph as it came, unless it is told to optimise', async () => {
    const plain = await imported(join(folder, 'sum'), '--name', 'plain')
    expect(plain).toMatchObject({ graph: 'onnx/model.onnx', comment: '' })
    const optimised = await imported(join(folder, 'sum'), '--name', 'optimised', '--optimize', 'always')
    expect(optimised.graph).toBe('onnx/model_glim.ort')
    expect(optimised.comment).toMatch(/: optimised, with the same bits as the original$/)
    const both = await imported(...[join(folder, 'sum'), '--name', 'both', '--optimize', 'always', '--keep-original'])
    expect(both.graph).toBe('onnx/model_glim.ort')
    expect((await artifactsOf('both')) - (await artifactsOf('optimised'))).toBe(sumModel().byteLength)
  })

  it('tells that what the server fetches itself is not converted', async () => {
    const version = await imported('hf:test/sum', '--name', 'fetched', '--optimize', 'always')
    expect(version).toMatchObject({
      graph: 'onnx/model.onnx',
      comment: expect.stringMatching(/^not converted: the server fetches the weights itself/),
    })
  })

  it('refuses a file that is no ONNX model before anything is sent', async () => {
    await writeFile(join(folder, 'broken.onnx'), 'version https://git-lfs.github.com/spec/v1')
    const args = [join(folder, 'broken.onnx'), '--name', 'broken', '--optimize', 'always']
    const { exitCode, output } = await glim('models', 'import', ...args)
    expect(exitCode).toBe(1)
    expect(output).toContain('The file is not a usable ONNX model')
  })

  it.each([
    ['--quantize', 'int4', '--quantize must be one of auto, int8, force, none, and "int4" came.'],
    ['--optimize', 'yes', '--optimize must be one of auto, always, never, and "yes" came.'],
  ])('refuses %s %s', async (option, value, message) => {
    const { exitCode, output } = await glim('models', 'import', folder, '--name', 'x', option, value)
    expect([exitCode, output]).toEqual([2, expect.stringContaining(message)])
  })

  it.skipIf(!haveSharedModels)(`serves a BERT in ONNX Runtime's own format ${withoutSharedModels}`, async () => {
    const source = sharedModelPath('fixture-bert-random-sequence_classification', '')
    const body = { inputs: { text: ['Hello world, this is a test.'] } }
    const answers = []
    for (const [name, optimize] of [
      ['bert-onnx', 'never'],
      ['bert-ort', 'always'],
    ] as const) {
      const version = await imported(source, '--name', name, '--optimize', optimize)
      expect(version.graph).toBe(optimize === 'always' ? 'onnx/model_glim.ort' : 'onnx/model.onnx')
      await createEndpoint(server, name, name)
      answers.push((await server.send('POST', `/serving-endpoints/${name}/invocations`, body)).json.predictions)
    }
    expect(answers[1]).toEqual(answers[0])
  })

  it.skipIf(!haveSharedModels)(`groups a decoder's attention and quantises it ${withoutSharedModels}`, async () => {
    const source = sharedModelPath('stories260k', '')
    const args = ['--name', 'story', '--quantize', 'int8', '--attention', 'grouped', '--optimize', 'always']
    const version = await imported(source, ...args)
    expect(version).toMatchObject({ task: 'text-generation', graph: 'onnx/model_glim.ort' })
    expect(version.comment).toMatch(/attention grouped in 5 layers; quantised to int8 by row \(36 products, 1 tables/)
  })
})
