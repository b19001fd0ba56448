export interface StoredBytes {
  sizeBytes: number
  /** On disk now; the rest comes from the origin on first use. */
  storedBytes: number
  /** Of heap snapshots, which may go at any time and are made again. */
  snapshotBytes: number
  /** Downloads under way. */
  fetching: { artifact: string; bytesDone: number; bytes: number; bytesPerSecond: number }[]
}

/** The isolate of a spec, as its host sees it. */
export interface ReplicaState {
  state: 'cold' | 'loading' | 'warm'
  inFlight: number
  /** Of its engine while it is warm. */
  memory: { heapBytes: number; weightsBytes: number } | null
}

export interface Collected {
  deleted: number
  freedBytes: number
  heldBytes: number
}

/** What the dispatcher asks of the host: the seam between the control and the inference column, met over the wire. */
import type { EndpointSpec } from './bundle.ts'
import type { Capabilities } from './capabilities.ts'
import type { GenerationEvent, GenerationRequest } from './generation.ts'
import type { InvocationReply, InvocationRequest } from './invocation.ts'
import type { Digest } from './manifest.ts'
import type { Signature } from './signature.ts'

export interface Host {
  /** @throws {ServingError} as the model or the host refused. */
  run(spec: EndpointSpec, request: InvocationRequest, signal?: AbortSignal): Promise<InvocationReply>
  /**
   * Resolves once the model has taken the request up; the events follow. Stopping the iteration, or the signal, ends the work.
   *
   * @throws {ServingError} as the model or the host refused.
   */
  generate(
    spec: EndpointSpec,
    request: GenerationRequest,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<GenerationEvent>>
  /** Loads the model if it is cold and tells what it is. */
  describe(spec: EndpointSpec): Promise<{ signature: Signature; heapBytes: number; weightsBytes: number }>
  /** Runs the model to find what it can do, which may take a while. */
  measure(spec: EndpointSpec): Promise<Capabilities>
  douse(spec: EndpointSpec): Promise<void>
  /** Douses once nobody uses it any more, also where it is kept warm; for what a new configuration has replaced. */
  retire(spec: EndpointSpec): Promise<void>
  state(spec: EndpointSpec): Promise<ReplicaState>
  logs(spec: EndpointSpec): Promise<string>
  putBlob(digest: string, bytes: Uint8Array): Promise<void>
  missingBlobs(body: unknown): Promise<{ missing: Digest[] }>
  putManifest(manifest: unknown): Promise<Digest>
  /** How much of a version is on disk, and what is being fetched. */
  stored(manifest: Digest): Promise<StoredBytes>
  /** Deletes every blob that none of these versions needs. */
  collect(manifests: readonly Digest[]): Promise<Collected>
  /** Resolves to a small artifact, or null where the manifest has none at that path. */
  artifact(manifest: Digest, path: string): Promise<Uint8Array | null>
}
