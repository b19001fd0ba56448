/**
 * transformers.js on the very wasm build that our isolates run, instead of the native one that it takes in Node: it uses the ORT
 * that it finds under a registered symbol. With such an ORT only the device "auto" works.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type { InferenceSession } from 'onnxruntime-web'

/** Resolves to the library; models are read from `folder/NAME`, never from the network. */
export async function transformersOnWasm(folder: string) {
  const ort = await import('onnxruntime-web/wasm')
  // In Node the library gives the path of a graph, which the wasm build takes for an address on the network.
  const create = (graph: string | Uint8Array, options: InferenceSession.SessionOptions) =>
    ort.InferenceSession.create(typeof graph === 'string' ? readFileSync(graph) : graph, options)
  const injected = { ...ort, InferenceSession: { ...ort.InferenceSession, create } }
  Object.assign(globalThis, { [Symbol.for('onnxruntime')]: injected })
  const transformers = await import('@huggingface/transformers')
  const { env } = transformers
  // Its import has set an address on the network.
  ort.env.wasm.wasmPaths = `${dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))}/`
  ort.env.wasm.numThreads = 1
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: folder, useWasmCache: false })
  return transformers
}
