/**
 * Starting ONNX Runtime from a compiled `WebAssembly.Module`, and its heap.
 *
 * Workers may not compile code at run time, and onnxruntime-web's own frontend offers no way to pass a Module; its emscripten
 * factory does (`instantiateWasm`).
 */
import { CallLimit } from './call-limit.ts'
import { addEnvironment } from './environment.ts'
import { Ort } from './instance.ts'
import { assertExports, type OrtFactory } from './private-exports.ts'

const logErrorsOnly = 3

export interface BootOptions {
  /** False leaves ORT itself uninitialised, for a heap snapshot that brings its own state. */
  init?: boolean
}

/** Resolves to a started ONNX Runtime with one thread. */
export async function bootOrt(
  factory: OrtFactory,
  wasmModule: WebAssembly.Module,
  { init = true }: BootOptions = {},
): Promise<Ort> {
  let memory: WebAssembly.Memory | undefined
  const callLimit = new CallLimit()
  const module = await factory({
    numThreads: 1,
    instantiateWasm(imports, done) {
      memory = findMemory(imports)
      if (memory) addEnvironment(imports, memory)
      callLimit.watch(imports)
      const instance = new WebAssembly.Instance(wasmModule, imports)
      done(instance, wasmModule)
      return instance.exports
    },
  })
  assertExports(module)
  if (!memory) throw new Error('The onnxruntime-web build imports no memory.')

  const ort = new Ort(module, memory, callLimit)
  if (init && module._OrtInit(1, logErrorsOnly) !== 0) throw ort.lastError('Starting ONNX Runtime')
  return ort
}

/** The import names are minified, so the memory is found by its type. */
function findMemory(imports: WebAssembly.Imports): WebAssembly.Memory | undefined {
  return Object.values(imports)
    .flatMap((group) => Object.values(group))
    .find((value): value is WebAssembly.Memory => value instanceof WebAssembly.Memory)
}
