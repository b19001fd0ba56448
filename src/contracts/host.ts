export interface StoredBytes {
  sizeBytes: number
  /** On disk now; the rest comes from the origin on first use. */
  storedBytes: number
  /** Downloads under way. */
  fetching: { artifact: string; bytesDone: number; bytes: number; bytesPerSecond: number }[]
}

export interface Collected {
  deleted: number
  freedBytes: number
  heldBytes: number
}

/** What the dispatcher asks of the host: the seam between the control and the inference column, met over the wire. */
import type { EndpointSpec } from './bundle.ts'
import type { InvocationReply, InvocationRequest } from './invocation.ts'
import type { Digest } from './manifest.ts'
import type { Signature } from './signature.ts'

export interface Host {
  /** @throws {ServingError} as the model or the host refused. */
  run(spec: EndpointSpec, request: InvocationRequest, signal?: AbortSignal): Promise<InvocationReply>
  /** Loads the model if it is cold and tells what it is. */
  describe(spec: EndpointSpec): Promise<{ signature: Signature; heapBytes: number; weightsBytes: number }>
  douse(spec: EndpointSpec): Promise<void>
  /** Douses once nobody uses it any more, also where it is kept warm; for what a new configuration has replaced. */
  retire(spec: EndpointSpec): Promise<void>
  state(spec: EndpointSpec): Promise<{ state: 'cold' | 'loading' | 'warm'; inFlight: number }>
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
