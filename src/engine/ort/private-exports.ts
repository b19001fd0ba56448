/**
 * The exports of onnxruntime-web's emscripten module that the driver calls. They are private to the package, so this file is
 * the only one that names them, the version is pinned exactly, and a module that lacks one is refused at boot with a list
 * instead of failing later in the middle of a run. Every call is synchronous in the plain wasm build.
 */
export const ortVersion = '1.30.0'

/** The imports that the module asks for its environment, `environ_sizes_get` and `environ_get`; their names are minified. */
export const environmentImports = { group: 'a', sizes: 'Ha', strings: 'Ga' } as const

/** An address in the wasm heap; 0 is null. */
export type Pointer = number

export interface OrtModule {
  _malloc(sizeBytes: number): Pointer
  _free(pointer: Pointer): void
  stackSave(): number
  stackAlloc(sizeBytes: number): Pointer
  stackRestore(mark: number): void

  _OrtInit(threads: number, logLevel: number): number
  _OrtGetLastError(codeAt: Pointer, messageAt: Pointer): number
  _OrtCreateSessionOptions(
    level: number,
    arena: boolean,
    memoryPattern: boolean,
    executionMode: number,
    profiling: boolean,
    profilePrefix: Pointer,
    logId: Pointer,
    logSeverity: number,
    logVerbosity: number,
    optimizedPath: Pointer,
  ): Pointer
  _OrtAddSessionConfigEntry(options: Pointer, key: Pointer, value: Pointer): number
  _OrtReleaseSessionOptions(options: Pointer): number
  _OrtCreateSession(model: Pointer, sizeBytes: number, options: Pointer): Pointer
  _OrtReleaseSession(session: Pointer): number
  _OrtGetInputOutputCount(session: Pointer, inputsAt: Pointer, outputsAt: Pointer): number
  _OrtGetInputOutputMetadata(session: Pointer, index: number, nameAt: Pointer, metadataAt: Pointer): number
  _OrtFree(pointer: Pointer): number
  _OrtCreateTensor(
    type: number,
    data: Pointer,
    sizeBytes: number,
    dims: Pointer,
    rank: number,
    location: number,
  ): Pointer
  _OrtGetTensorData(tensor: Pointer, typeAt: Pointer, dataAt: Pointer, dimsAt: Pointer, rankAt: Pointer): number
  _OrtReleaseTensor(tensor: Pointer): number
  _OrtRun(
    session: Pointer,
    inputNames: Pointer,
    inputs: Pointer,
    inputCount: number,
    outputNames: Pointer,
    outputCount: number,
    outputs: Pointer,
    runOptions: Pointer,
  ): number

  /** Offers a file of external weights under the name that the graph uses for it. */
  mountExternalData(path: string, bytes: Uint8Array): void
  unmountExternalData(): void
}

/** The factory's settings that the driver uses. */
export interface OrtFactorySettings {
  numThreads: number
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports
}

/** The default export of `onnxruntime-web/dist/ort-wasm-simd-threaded.mjs`, which has no types of its own. */
export type OrtFactory = (settings: OrtFactorySettings) => Promise<unknown>

const requiredExports: Readonly<Record<keyof OrtModule, true>> = {
  _malloc: true,
  _free: true,
  stackSave: true,
  stackAlloc: true,
  stackRestore: true,
  _OrtInit: true,
  _OrtGetLastError: true,
  _OrtCreateSessionOptions: true,
  _OrtAddSessionConfigEntry: true,
  _OrtReleaseSessionOptions: true,
  _OrtCreateSession: true,
  _OrtReleaseSession: true,
  _OrtGetInputOutputCount: true,
  _OrtGetInputOutputMetadata: true,
  _OrtFree: true,
  _OrtCreateTensor: true,
  _OrtGetTensorData: true,
  _OrtReleaseTensor: true,
  _OrtRun: true,
  mountExternalData: true,
  unmountExternalData: true,
}

/** @throws {Error} naming every export that the module lacks. */
export function assertExports(module: unknown): asserts module is OrtModule {
  const exports = (typeof module === 'object' && module !== null ? module : {}) as Record<string, unknown>
  const missing = Object.keys(requiredExports).filter((name) => typeof exports[name] !== 'function')
  if (missing.length === 0) return
  throw new Error(`The driver needs onnxruntime-web ${ortVersion}; this build lacks ${missing.join(', ')}.`)
}
