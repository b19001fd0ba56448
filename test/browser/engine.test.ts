/** The same engine, from the same compiled module, gives in Chromium the bits that it gives in Node. */
import { createReadStream, existsSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Worker } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { encodeFrame } from '#contracts/frame.ts'
import type { GenerationRequest } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { type NamedTensors, type NumericTensor, valuesOf } from '#contracts/tensor.ts'
import { loadVocabulary } from '#src/engine/generation/vocabulary.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import type { Port } from '#src/engine/ort/ports.ts'
import { type BrowserPage, haveChromium, openPage, withoutChromium } from '../support/chromium.ts'
import { type ExpectedTensor, expectedInput, numbers, sampleInputs } from '../support/graph-inputs.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import {
  haveSharedModels,
  sharedJson,
  sharedModelPath,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'
import { digestsOf } from './digests.ts'
import type { EngineWorker } from './engine-worker.ts'

interface Case {
  model: string
  inputs?: Record<string, ExpectedTensor>
  prompt_ids?: number[]
  generated_ids?: number[]
}

const wasmPath = createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')
const files = ['onnx/model.onnx', 'onnx/model_fp16.onnx', 'onnx/model_quantized.onnx']
const graphs = Object.keys(sampleInputs).flatMap((model) =>
  files.filter((file) => existsSync(sharedModelPath(model, file))).map((file) => [model, file] as const),
)
const casesOf = (model: string) => (sharedJson(model, 'expected.json') as { cases: Case[] }).cases

/** The inputs that `expected.json` holds for the graph, or a sample where it describes them by other means. */
function inputsOf(model: string, file: string, ports: readonly Port[]): NamedTensors[] {
  const described = casesOf(model).filter((one) => one.model === file && one.inputs)
  const given = described.map(({ inputs }) =>
    Object.fromEntries(Object.entries(inputs!).map(([name, tensor]) => [name, expectedInput(model, tensor)])),
  )
  return (given.length > 0 ? given : [sampleInputs[model]!()]).map((inputs) =>
    Object.fromEntries(ports.map(({ name, dtype }) => [name, inDtype(inputs[name] as NumericTensor, dtype)])),
  )
}

function inDtype(tensor: NumericTensor, dtype: Port['dtype']): NumericTensor {
  if (dtype === tensor.dtype || dtype === 'string') return tensor
  return numbers(dtype, tensor.shape, Array.from(valuesOf(tensor), Number))
}

const missing = haveChromium ? (haveSharedModels ? '' : withoutSharedModels) : withoutChromium

describe.skipIf(missing !== '')(`the engine in Chromium ${missing}`, () => {
  const frames = new Map<string, Uint8Array>()
  let ort: Ort
  let browser: BrowserPage
  let worker: Worker
  beforeAll(async () => {
    ort = await bootNodeOrt()
    const bundle = await bundledWorker()
    browser = await openPage((request, response) => serve(bundle, frames, request, response))
    const [started] = browser.page.workers()
    worker = started ?? (await browser.page.waitForEvent('worker'))
    await vi.waitFor(async () => expect(await worker.evaluate(() => 'glim' in globalThis)).toBe(true), 20_000)
  })
  afterAll(() => browser?.stop())

  it('runs isolated, with the shared memory that its heap needs', async () => {
    expect(await worker.evaluate(() => crossOriginIsolated)).toBe(true)
  })

  it.each(graphs)('%s/%s gives the bits that Node gives', async (model, file) => {
    const session = await loadGraph(ort, sharedReader(model), file)
    const inputs = inputsOf(model, file, session.inputs)
    const expected = await Promise.all(inputs.map((tensors) => digestsOf(session.run(tensors))))
    session.release()
    for (const [at, tensors] of inputs.entries()) frames.set(`/inputs/${model}/${file}/${at}`, encodeFrame(tensors, {}))

    const actual = await worker.evaluate(
      ([name, graph, count]) => (globalThis as unknown as { glim: EngineWorker }).glim.runGraph(name, graph, count),
      [model, file, inputs.length] as const,
    )
    expect(actual).toEqual(expected)
    expect(browser.problems).toEqual([])
  })

  it('stories260k writes exactly the expected tokens', async () => {
    const { vocabulary } = await loadVocabulary(sharedReader('stories260k'))
    const [story] = casesOf('stories260k').filter(({ model }) => model === 'onnx/model.onnx')
    const written = await worker.evaluate(
      ([request]) =>
        (globalThis as unknown as { glim: EngineWorker }).glim.writeText('stories260k', 'onnx/model.onnx', request),
      [greedy(story!.prompt_ids!, story!.generated_ids!.length)] as const,
    )
    expect(written).toEqual(story!.generated_ids!.map((id) => [...vocabulary.bytesOf(id)!]))
    expect(browser.problems).toEqual([])
  })
})

function greedy(tokens: readonly number[], maxTokens: number): GenerationRequest {
  return {
    prompt: { kind: 'tokens', tokens },
    choices: 1,
    maxTokens,
    sampling: {
      temperature: 0,
      topK: null,
      topP: null,
      minP: null,
      repetitionPenalty: null,
      presencePenalty: null,
      frequencyPenalty: null,
      logitBias: {},
      seed: null,
    },
    stop: [],
    ignoreEos: true,
    topLogprobs: 0,
    echo: false,
    constraint: null,
    tenant: 'page',
    deadlineMs: limits.executionMs,
  }
}

async function bundledWorker(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('engine-worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    platform: 'browser',
    external: ['module', 'worker_threads'],
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]!.contents
}

function serve(
  bundle: Uint8Array,
  frames: ReadonlyMap<string, Uint8Array>,
  { url = '/', method }: IncomingMessage,
  response: ServerResponse,
): void {
  const html = `<!doctype html><link rel=icon href=data:,><script>new Worker('/worker.js', { type: 'module' })</script>`
  const frame = frames.get(url)
  if (url === '/') send(response, 'text/html', html)
  else if (url === '/worker.js') send(response, 'text/javascript', bundle)
  else if (frame) send(response, 'application/octet-stream', frame)
  else sendFile(url, method, response)
}

function sendFile(url: string, method: string | undefined, response: ServerResponse): void {
  const file = url === '/ort.wasm' ? wasmPath : url.startsWith('/models/') ? sharedModelPath('.', url.slice(8)) : ''
  if (!existsSync(file)) {
    response.writeHead(404).end()
    return
  }
  response.setHeader('content-type', url === '/ort.wasm' ? 'application/wasm' : 'application/octet-stream')
  response.setHeader('content-length', statSync(file).size)
  if (method === 'HEAD') response.end()
  else createReadStream(file).pipe(response)
}

function send(response: ServerResponse, type: string, body: string | Uint8Array): void {
  response.setHeader('content-type', type)
  response.end(body)
}
