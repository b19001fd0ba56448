/**
 * What one isolate's memory is spent on, and whether a model fits before a byte of it is fetched. Memory of the engine never
 * shrinks, so the largest moment of an isolate is what it costs until it is doused.
 */
import { ServingError } from '#contracts/errors.ts'
import type { MemoryAccount } from '#contracts/served-model.ts'

const mibBytes = 2 ** 20

/** ONNX Runtime itself after its first session: 11 to 13 MiB beside the weights. */
export const engineBytes = 13 * mibBytes
/** The least that any run takes for its inputs, outputs and intermediate values. */
export const leastActivationBytes = 2 * mibBytes
/** JavaScript of the isolate: its program, tokenizer, and the requests under way. */
export const outsideHeapBytes = 8 * mibBytes

/** What the engine's heap may grow to in an isolate of so many bytes. */
export function heapLimitOf(isolateBytes: number): number {
  return Math.max(0, isolateBytes - outsideHeapBytes)
}

export interface ModelSize {
  graph: string
  /** The graph's file. */
  graphBytes: number
  /** Files of external weights beside it. */
  externalBytes: number
}

/**
 * The least heap in which the model can be loaded. An `.ort` file is used where it lies; of any other, ORT makes its own copy of the
 * weights while the file is still there.
 */
export function leastHeapBytes({ graph, graphBytes, externalBytes }: ModelSize): number {
  const weightsBytes = graphBytes + externalBytes
  const copies = graph.endsWith('.ort') ? 1 : 2
  return weightsBytes * copies + engineBytes + leastActivationBytes
}

/** @throws {ServingError} 400 with what is needed and what there is; final until the limit is raised or the model made smaller. */
export function requireRoom(size: ModelSize, isolateBytes: number): void {
  const neededBytes = leastHeapBytes(size) + outsideHeapBytes
  if (neededBytes <= isolateBytes) return
  const { graph, graphBytes, externalBytes } = size
  throw outOfMemory(
    `The model "${graph}" needs at least ${mib(neededBytes)} MiB (weights ${mib(graphBytes + externalBytes)} MiB)`,
    isolateBytes,
    graph,
  )
}

/** The same when it turns out only while the model is loaded or run. */
export function outOfMemory(problem: string, isolateBytes: number, graph: string): ServingError {
  const advice = graph.endsWith('.ort')
    ? 'Use smaller weights'
    : 'Use smaller weights or the .ort form, which takes half the memory'
  return new ServingError({
    code: 'BAD_REQUEST',
    status: 400,
    message: `${problem}; its isolate may use ${mib(isolateBytes)} MiB. ${advice}, or start the server with a higher GLIM_ISOLATE_MB.`,
  })
}

/** Where the bytes of a loaded model are. `loadedHeapBytes`: the heap right after loading. */
export function accountOf(heapBytes: number, weightsBytes: number, loadedHeapBytes: number): MemoryAccount {
  return { heapBytes, weightsBytes, activationBytes: heapBytes - loadedHeapBytes }
}

export function mib(bytes: number): string {
  return (bytes / mibBytes).toFixed(1)
}
