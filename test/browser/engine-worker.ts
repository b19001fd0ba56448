/**
 * What runs inside the browser: our engine from a compiled module, over artifacts that it fetches. In a worker, because a page's
 * own thread may not instantiate a module of this size without awaiting it. Bundled by the test.
 */
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { decodeFrame } from '#contracts/frame.ts'
import type { GenerationRequest } from '#contracts/generation.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { bootOrt } from '#src/engine/ort/boot.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { tensorTask } from '#src/engine/tasks/tensor.ts'
import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { digestsOf, greedyTokens, type RunDigests } from './digests.ts'

/** One engine for all models, which stay in its heap. */
const engine = WebAssembly.compileStreaming(fetch('/ort.wasm')).then((compiled) => bootOrt(factory, compiled))

/** Runs a graph on each of so many inputs. */
async function runGraph(model: string, graph: string, inputs: number): Promise<RunDigests[]> {
  const ort = await engine
  const served = await loadModel(ort, tensorTask, { graph, reader: fetchReader(model), options: {} })
  const runs: RunDigests[] = []
  for (let at = 0; at < inputs; at++) {
    const frame = await fetch(`/inputs/${model}/${graph}/${at}`).then((response) => response.arrayBuffer())
    const { outputs } = await served.invoke({ inputs: decodeFrame(new Uint8Array(frame)).tensors, params: {} })
    runs.push(await digestsOf(outputs))
  }
  return runs
}

/** The tokens of one text, each as its bytes. */
async function writeText(model: string, graph: string, request: GenerationRequest): Promise<number[][]> {
  const ort = await engine
  const reader = fetchReader(model)
  const session = await loadGraph(ort, reader, graph)
  const task = await textGenerationTask.load({ ort, session, reader, options: {} })
  return greedyTokens(await task.generate!(request))
}

function fetchReader(model: string): ArtifactReader {
  const urlOf = (path: string) => `/models/${model}/${path}`
  return {
    async sizeOf(path) {
      const { ok, headers } = await fetch(urlOf(path), { method: 'HEAD' })
      return ok ? Number(headers.get('content-length')) : null
    },
    async stream(path) {
      return (await fetch(urlOf(path))).body!
    },
  }
}

/** What the test calls. */
export interface EngineWorker {
  runGraph: typeof runGraph
  writeText: typeof writeText
}

Object.assign(globalThis, { glim: { runGraph, writeText } satisfies EngineWorker })
