/**
 * Where a model comes from: a folder, a file, a hub, a URL. A source lists its files and reads each as a stream; nothing here
 * ever has a whole one, because model files are as large as the memory of small machines.
 */
import type { Digest, Origin } from '#contracts/manifest.ts'

export interface SourceFile {
  /** The artifact's path within the model. */
  path: string
  sizeBytes: number
  /** Digest of the whole file, where somebody has said it before the bytes come; what comes must match. */
  digest?: Digest
  /** Where a server finds the same bytes by itself. */
  origin?: Origin
  /** The bytes from a position on. A chunk is the reader's until it asks for the next one. */
  read(from?: number): AsyncIterable<Uint8Array>
}

export interface OpenedSource {
  files: readonly SourceFile[]
  /** What a version tells of where it came from: no secrets, and where the origin has revisions, which. */
  label: string
  /** The graph's path, where the source itself says which of its files that is. */
  graph?: string
  /** Which of several graphs is taken when nobody says. */
  preferredDtype?: 'q8'
  /** Nobody vouches for the bytes beforehand: the first import decides what they are. */
  pinsWhatComes?: boolean
  /** A native invocation body that the model answers. */
  inputExample?: unknown
  /** Of a folder that MLflow wrote: what its `MLmodel` declares. */
  mlflow?: MlflowSignature
}

/** Each a JSON value of the schema forms of MLflow, or absent. */
export interface MlflowSignature {
  inputs?: unknown
  outputs?: unknown
  params?: unknown
}

export interface ModelSource {
  /** @throws {SourceError} where there is no such source, or it cannot be used. */
  open(): Promise<OpenedSource>
}

/** More than any graph can use: the heap of WebAssembly ends at 4 GiB. */
export const mostFileBytes = 4 * 1024 ** 3
