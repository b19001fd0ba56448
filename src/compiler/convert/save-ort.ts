/**
 * An `.onnx` model as ORT's own `.ort` file, made by onnxruntime-web itself: the optimised graph as a flatbuffer whose weights a
 * session uses where they lie. The build has no file system, so the file is caught on its way out: opening it yields
 * descriptor 0, and what is written there is kept.
 */
import { bootOrt } from '#src/engine/ort/boot.ts'
import type { Ort } from '#src/engine/ort/instance.ts'
import type { OrtFactory } from '#src/engine/ort/private-exports.ts'

export interface OrtRuntime {
  factory: OrtFactory
  wasm: WebAssembly.Module
}

/**
 * An engine for one model after another, and the file that it saves. One is used for as much as possible: its memory stays until
 * the thread ends, because onnxruntime-web leaves an asynchronous wait on it.
 */
export interface Engine {
  readonly ort: Ort
  /** What was written since the last time. */
  takeFile(): FileParts
}

/** A file in parts, as `modelParts` makes it. */
export interface FileParts {
  parts: readonly Uint8Array[]
  sizeBytes: number
}

/** Fusions that any machine may run; the last level also changes layouts to those of the machine that converts. */
const extended = 2
const savedFile = 0

type WriteCall = (descriptor: number, vectors: number, count: number, writtenAt: number) => number

/** Resolves to an engine with a memory of its own. */
export async function openEngine({ factory, wasm }: OrtRuntime): Promise<Engine> {
  let parts: Uint8Array[] = []
  const keep = (part: Uint8Array) => void parts.push(part)
  const catching: OrtFactory = (settings) =>
    factory({
      ...settings,
      instantiateWasm: (imports, done) => settings.instantiateWasm(withFile(imports, keep), done),
    })
  return {
    ort: await bootOrt(catching, wasm),
    takeFile() {
      const file = { parts, sizeBytes: parts.reduce((sum, part) => sum + part.byteLength, 0) }
      parts = []
      return file
    },
  }
}

/**
 * The bytes of the `.ort` file.
 *
 * @throws {OrtError} what ORT says of a model that it cannot load.
 * @throws {OrtTrapped} where the model does not fit into WebAssembly's memory.
 */
export function saveOrt({ ort, takeFile }: Engine, model: FileParts): FileParts {
  takeFile()
  writeOptimized(ort, partsToHeap(ort, model))
  const file = takeFile()
  if (file.sizeBytes === 0) throw new Error('onnxruntime-web has saved no file.')
  return file
}

/** Copies a file into one block of the heap. */
export function partsToHeap(ort: Ort, { parts, sizeBytes }: FileParts): { pointer: number; sizeBytes: number } {
  const pointer = ort.malloc(sizeBytes)
  const view = ort.view(pointer, sizeBytes)
  let at = 0
  for (const part of parts) {
    view.set(part, at)
    at += part.byteLength
  }
  return { pointer, sizeBytes }
}

function writeOptimized(ort: Ort, { pointer, sizeBytes }: { pointer: number; sizeBytes: number }): void {
  const { module } = ort
  const logErrorsOnly = 3
  const texts = ['model.ort', 'session.save_model_format', 'ORT'].map((text) => ort.newCString(text))
  const [path, key, value] = texts as [number, number, number]
  const options = module._OrtCreateSessionOptions(extended, false, false, 0, false, 0, 0, logErrorsOnly, 0, path)
  if (options === 0) throw ort.lastError('Creating session options')
  if (module._OrtAddSessionConfigEntry(options, key, value) !== 0) throw ort.lastError('Choosing the format')
  const session = ort.call('optimising', () => module._OrtCreateSession(pointer, sizeBytes, options))
  if (session === 0) throw ort.lastError('Optimising the graph')
  module._OrtReleaseSession(session)
  module._OrtReleaseSessionOptions(options)
  for (const block of [pointer, ...texts]) ort.free(block)
}

/** The imports with a file behind descriptor 0. */
function withFile(imports: WebAssembly.Imports, keep: (part: Uint8Array) => void): WebAssembly.Imports {
  const found = Object.entries(imports).flatMap(([group, values]) =>
    Object.entries(values).flatMap(([name, value]) => (isWrite(value) ? [{ group, name, write: value }] : [])),
  )
  const [only, ...others] = found
  const memory = Object.values(imports)
    .flatMap((values) => Object.values(values))
    .find((value): value is WebAssembly.Memory => value instanceof WebAssembly.Memory)
  if (!only || others.length > 0 || !memory)
    throw new Error(`${found.length} imports of the onnxruntime-web build look like the one that writes files.`)

  const write: WriteCall = (descriptor, vectors, count, writtenAt) => {
    if (descriptor !== savedFile) return only.write(descriptor, vectors, count, writtenAt)
    const view = new DataView(memory.buffer)
    let written = 0
    for (let index = 0; index < count; index++) {
      const start = view.getUint32((vectors >>> 0) + 8 * index, true)
      const length = view.getUint32((vectors >>> 0) + 8 * index + 4, true)
      if (length > 0) keep(new Uint8Array(memory.buffer, start, length).slice())
      written += length
    }
    view.setUint32(writtenAt >>> 0, written, true)
    return 0
  }
  return { ...imports, [only.group]: { ...imports[only.group], [only.name]: write } }
}

/** Names are minified; what writes to the console line by line is the only import that looks for line feeds. */
function isWrite(value: WebAssembly.ImportValue): value is WriteCall {
  return typeof value === 'function' && /\b10\s*===|===\s*10\b/.test(Function.prototype.toString.call(value))
}
