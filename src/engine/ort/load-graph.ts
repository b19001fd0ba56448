/**
 * From artifact to session: the file is streamed straight into one block of the heap of exactly its size, so that a model never
 * exists as a whole in JavaScript and peak memory is the heap plus one chunk.
 */
import { dataLoss, doesNotExist, isServingError, modelFailed } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { createSession, type ModelBlock } from './create-session.ts'
import { OrtError } from './error.ts'
import type { Ort } from './instance.ts'
import type { OrtSession } from './session.ts'
import type { SessionOptions } from './session-options.ts'
import { chunksOf } from './stream-chunks.ts'

export interface LoadGraphOptions extends SessionOptions {
  /** The heap's size after an earlier load, grown to at once: growth in steps takes 20 % more than it needs. */
  heapBytes?: number
}

/**
 * Resolves to a session over the graph at `path`, with the files of external weights beside it.
 *
 * @throws {ServingError} 400 with ORT's message for a graph that it cannot load, 404 where there is no such artifact.
 */
export async function loadGraph(
  ort: Ort,
  reader: ArtifactReader,
  path: string,
  { heapBytes = 0, ...options }: LoadGraphOptions = {},
): Promise<OrtSession> {
  ort.growTo(heapBytes)
  const model = await artifactToHeap(ort, reader, path)
  const external: ModelBlock[] = []
  try {
    for (const file of await externalFiles(reader, path)) {
      const block = await artifactToHeap(ort, reader, file)
      external.push(block)
      // Mounted as a view of the heap: ORT copies from it while it creates the session, and shared views outlive growth.
      ort.module.mountExternalData(baseName(file), ort.view(block.pointer, block.sizeBytes))
    }
  } catch (error) {
    ort.free(model.pointer)
    freeExternal(ort, external)
    throw error
  }
  try {
    const externalBytes = external.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
    return createSession(ort, model, { inPlace: path.endsWith('.ort'), ...options }, externalBytes)
  } catch (error) {
    throw explain(error, path)
  } finally {
    freeExternal(ort, external)
  }
}

/** Streams an artifact into a new block of the heap. */
export async function artifactToHeap(ort: Ort, reader: ArtifactReader, path: string): Promise<ModelBlock> {
  const sizeBytes = await reader.sizeOf(path)
  if (sizeBytes === null) throw doesNotExist(`The model has no file "${path}".`)
  const pointer = ort.malloc(sizeBytes)
  try {
    let at = 0
    for await (const chunk of chunksOf(await reader.stream(path))) {
      if (at + chunk.byteLength > sizeBytes) throw dataLoss(`"${path}" is longer than its ${sizeBytes} bytes.`)
      ort.view(pointer + at, chunk.byteLength).set(chunk)
      at += chunk.byteLength
    }
    if (at !== sizeBytes) throw dataLoss(`"${path}" ended after ${at} of ${sizeBytes} bytes.`)
    return { pointer, sizeBytes }
  } catch (error) {
    ort.free(pointer)
    throw error
  }
}

/** The names that exporters give to weights outside of the graph: `x.onnx_data`, `x.onnx_data_1` …, `x.onnx.data`. */
export async function externalFiles(reader: ArtifactReader, graph: string): Promise<string[]> {
  const files: string[] = []
  if ((await reader.sizeOf(`${graph}.data`)) !== null) files.push(`${graph}.data`)
  for (let part = 0; ; part++) {
    const file = part === 0 ? `${graph}_data` : `${graph}_data_${part}`
    if ((await reader.sizeOf(file)) === null) return files
    files.push(file)
  }
}

function freeExternal(ort: Ort, blocks: readonly ModelBlock[]): void {
  ort.module.unmountExternalData()
  for (const block of blocks) ort.free(block.pointer)
}

function explain(error: unknown, path: string): unknown {
  if (isServingError(error) || !(error instanceof OrtError)) return error
  return modelFailed(`The graph "${path}" cannot be loaded. ${error.code}: ${error.message}`)
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
