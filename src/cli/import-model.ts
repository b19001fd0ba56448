/** A model from this machine's disk into a server's registry: plan, upload what is missing, import. */
import type { GlimClient } from '#src/client/client.ts'
import { type UploadProgress, uploadModel } from '#src/client/upload-model.ts'
import type { VersionView } from '#src/client/views.ts'
import { planImport } from './plan-import.ts'

export interface ImportOptions {
  client: GlimClient
  name: string
  version?: string | undefined
  task?: string | undefined
  dtype?: string | undefined
  /** The graph's path within the source. */
  file?: string | undefined
  /** A native invocation body that the model answers. */
  example?: unknown
  /** What the version tells of where it came from; the path if left out. */
  label?: string
  onProgress?(progress: UploadProgress | { stage: 'loading' }): void
}

export interface Imported {
  version: VersionView
  sizeBytes: number
  sentBytes: number
}

/**
 * Resolves once the version is usable. Run again after any interruption: what has arrived is not sent again, and the same
 * content under the same number is the same version.
 */
export async function importModel(source: string, options: ImportOptions): Promise<Imported> {
  const { client, name, version, task, dtype, file, example, label = source, onProgress = () => {} } = options
  const { graph, files, totalBytes } = await planImport(source, { dtype, file })
  const { manifest, sizeBytes, sentBytes } = await uploadModel(files, { client, totalBytes, onProgress })
  onProgress({ stage: 'loading' })
  const imported = await client.importModel({
    name,
    manifest,
    file: graph,
    source: label,
    ...(version === undefined ? {} : { version }),
    ...(task === undefined ? {} : { task }),
    ...(example === undefined ? {} : { input_example: example }),
  })
  return { version: imported, sizeBytes, sentBytes }
}
