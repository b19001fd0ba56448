/**
 * A model that answers invocations: the engine's tasks implement it over our ORT driver, and the stock onnxruntime-web API
 * implements it as reference and fallback.
 */
import type { InvocationReply, InvocationRequest } from './invocation.ts'
import type { Signature } from './signature.ts'

export interface ServedModel {
  readonly signature: Signature
  /** The signal ends the work before its next run. @throws {ServingError} 400 where the model refuses this input. */
  invoke(request: InvocationRequest, signal?: AbortSignal): Promise<InvocationReply>
  memory(): MemoryAccount
}

export interface MemoryAccount {
  /** WebAssembly memory of the engine, which holds the weights; it never shrinks. */
  heapBytes: number
  weightsBytes: number
  /** By how much runs have grown the heap since the model was loaded. */
  activationBytes?: number
}

/** How a served model reads the artifacts of its own version, and nothing else. */
export interface ArtifactReader {
  /** Size of an artifact, or null where the version has none at that path. */
  sizeOf(path: string): Promise<number | null>
  /** A verified stream of the artifact's bytes. */
  stream(path: string): Promise<ReadableStream<Uint8Array>>
}
