/**
 * The thread in which a model is converted: hundreds of megabytes and seconds of computing that the command line's own thread,
 * which shows progress and answers Ctrl-C, stays free of. Its memory goes with it.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { isServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { type ConvertStage, convertModel } from '#src/compiler/convert/convert-model.ts'
import { type ExampleSource, exampleTexts } from '#src/compiler/convert/examples.ts'
import { joined } from '#src/compiler/onnx/wire.ts'
import { readJson } from '#src/engine/read-artifact.ts'
import { loadTokenizer } from '#src/engine/tokenizer.ts'

export interface ThreadInput {
  graph: Uint8Array
  /** Files of weights by the name that the graph uses. */
  external: ReadonlyMap<string, Uint8Array>
  /** Tokenizer and configuration by path. */
  small: ReadonlyMap<string, Uint8Array>
  quantize: 'int8' | 'force' | 'none'
  optimize: boolean
  groupAttention: boolean
}

export type ThreadMessage =
  | { kind: 'stage'; stage: ConvertStage }
  | { kind: 'refused'; facts: ServingErrorFacts }
  | {
      kind: 'done'
      note: string
      batchInvariant: boolean
      file: { format: 'onnx' | 'ort'; bytes: Uint8Array<ArrayBuffer> } | null
      /** Of the engine with the model loaded. */
      heapBytes?: { before: number; after: number }
    }

/** Sentences are cut here: enough to show every layer, little enough to be quick. */
const mostTokens = 64
const fewestWords = 100

const input = workerData as ThreadInput
const send = (message: ThreadMessage, transfer: readonly ArrayBuffer[] = []) =>
  parentPort?.postMessage(message, [...transfer])

try {
  const wasmPath = createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')
  const wasm = await WebAssembly.compile(await readFile(wasmPath))
  const {
    file,
    note,
    batchInvariant = false,
    loads,
  } = await convertModel(input.graph, {
    ...input,
    runtime: { factory, wasm },
    examples: await exampleSource(input.small),
    onStage: (stage) => send({ kind: 'stage', stage }),
  })
  const made = file && { format: file.format, bytes: joined(file) }
  const heapBytes = loads && { before: loads.before.heapBytes, after: loads.after.heapBytes }
  send(
    { kind: 'done', note, batchInvariant, file: made, ...(heapBytes ? { heapBytes } : {}) },
    made ? [made.bytes.buffer] : [],
  )
} catch (error) {
  if (!isServingError(error)) throw error
  send({ kind: 'refused', facts: error.toJSON() })
}

async function exampleSource(files: ReadonlyMap<string, Uint8Array>): Promise<ExampleSource> {
  const reader = readerOf(files)
  const { vocab_size: vocabulary } = (await readJson(reader, 'config.json')) ?? {}
  const tokenizer = files.has('tokenizer.json') ? await loadTokenizer(reader) : undefined
  return {
    encodings: tokenizer ? exampleTexts.map((text) => tokenizer.encode(text, undefined, mostTokens)) : [],
    vocabulary: typeof vocabulary === 'number' && vocabulary > 0 ? vocabulary : fewestWords,
  }
}

function readerOf(files: ReadonlyMap<string, Uint8Array>): ArtifactReader {
  return {
    sizeOf: async (path) => files.get(path)?.byteLength ?? null,
    stream: async (path) => new Blob([(files.get(path) ?? new Uint8Array()).slice()]).stream(),
  }
}
