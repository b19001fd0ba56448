/** A model from its source into a server's registry: open, plan, send what is missing, import. */
import type { Digest } from '#contracts/manifest.ts'
import type { GlimClient } from '#src/client/client.ts'
import type { ModelSource } from '#src/client/sources/model-source.ts'
import { type UploadProgress, uploadModel } from '#src/client/upload-model.ts'
import type { VersionView } from '#src/client/views.ts'
import type { ConvertStage } from '#src/compiler/convert/convert-model.ts'
import { type ConversionChoice, type ConvertedPlan, convertImport } from './convert-graph.ts'
import { type ImportPlan, planImport } from './plan-import.ts'

export interface ImportOptions {
  client: GlimClient
  name: string
  version?: string | undefined
  task?: string | undefined
  dtype?: string | undefined
  /** The graph's path within the source. */
  file?: string | undefined
  /** What the graph's bytes must be. */
  digest?: Digest | undefined
  /** Send only where the weights come from; the server fetches them on first use, or at once with `prefetch`. */
  lazy?: boolean
  prefetch?: boolean
  /** A native invocation body that the model answers. */
  example?: unknown
  /** What may be done to the graph before it is sent; nothing if left out. */
  convert?: ConversionChoice
  onProgress?(progress: ImportProgress): void
}

export type ImportProgress = UploadProgress | { stage: 'opening' | 'loading' | ConvertStage }

export interface Imported {
  version: VersionView
  sizeBytes: number
  sentBytes: number
  /** The graph's digest, where nobody had vouched for it before it came. */
  pinned?: Digest
  /** Memory of the engine with the model loaded, as it came and as it was converted. */
  heapBytes?: { before: number; after: number }
}

/**
 * Resolves once the version is usable. Run again after any interruption: what has arrived is not sent again, and the same
 * content under the same number is the same version.
 */
export async function importModel(source: ModelSource, options: ImportOptions): Promise<Imported> {
  const { client, name, version, task, prefetch = false, onProgress = () => {} } = options
  onProgress({ stage: 'opening' })
  const opened = await source.open()
  const lazy = prefetch || options.lazy === true
  const plan = await planImport(opened, { ...options, lazy, ...quantizing(options) })
  const { graph, files, note, options: earned, sourceDigest, heapBytes } = await converted(plan, options)
  const { manifest, sizeBytes, sentBytes } = await uploadModel(files, { client, onProgress })
  onProgress({ stage: 'loading' })
  const example = options.example ?? opened.inputExample
  const imported = await client.importModel({
    name,
    manifest,
    file: graph,
    source: opened.label,
    ...(version === undefined ? {} : { version }),
    ...(task === undefined ? {} : { task }),
    ...(example === undefined ? {} : { input_example: example }),
    ...(lazy ? { prefetch } : {}),
    ...(note === '' ? {} : { comment: note }),
    ...(Object.keys(earned).length === 0 ? {} : { options: earned }),
  })
  const came = sourceDigest ?? manifest.artifacts.find(({ path }) => path === graph)?.digest
  const pinned = opened.pinsWhatComes ? came : undefined
  return {
    version: imported,
    sizeBytes,
    sentBytes,
    ...(pinned ? { pinned } : {}),
    ...(heapBytes ? { heapBytes } : {}),
  }
}

function quantizing({ convert }: ImportOptions) {
  const wanted = convert?.quantize
  return { canQuantize: wanted !== undefined && wanted !== 'none', fromFloat: wanted === 'int8' || wanted === 'force' }
}

async function converted(plan: ImportPlan, { convert, onProgress }: ImportOptions): Promise<ConvertedPlan> {
  if (!convert) return { ...plan, note: '', options: {} }
  return convertImport(plan, { ...convert, onStage: (stage) => onProgress?.({ stage }) })
}
