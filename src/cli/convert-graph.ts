/**
 * Converting what an import is about to send: the graph and its weights are read where they lie, converted in a thread, and what
 * came of it takes their place. A graph that stays as it is goes out from memory, so that no source is read twice.
 */
import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { ServingError } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Digest } from '#contracts/manifest.ts'
import type { SourceFile } from '#src/client/sources/model-source.ts'
import { changed, digestMismatch } from '#src/client/sources/source-error.ts'
import type { UploadFile } from '#src/client/upload-model.ts'
import { isExternalData } from '#src/compiler/choose-graph.ts'
import type { ConvertStage } from '#src/compiler/convert/convert-model.ts'
import type { ThreadInput, ThreadMessage } from './convert-thread.ts'
import type { ImportPlan } from './plan-import.ts'

export interface ConversionChoice {
  /** `auto` quantises where q8 was asked for and the source has none. */
  quantize: 'auto' | 'int8' | 'force' | 'none'
  /** `auto` leaves small graphs as they are: they load in no time. */
  optimize: 'auto' | 'always' | 'never'
  /** `grouped` puts attention that appends to its cache in place where a decoder has plain attention. */
  attention: 'keep' | 'grouped'
  /** Sends the original graph too. */
  keepOriginal: boolean
}

export interface ConversionOptions extends ConversionChoice {
  onStage(stage: ConvertStage): void
}

export interface ConvertedPlan extends ImportPlan {
  /** What was done or why nothing was, for the version; empty where nothing was to be done. */
  note: string
  /** Options of the version that the conversion has earned it. */
  options: Readonly<Record<string, unknown>>
  /** Digest of the graph as the source had it, where it was read here. */
  sourceDigest?: Digest
  /** Memory of the engine with the model loaded, as it came and as it is now. */
  heapBytes?: { before: number; after: number }
}

/** The engine holds the graph more than twice while it loads it, in the 4 GiB of WebAssembly. */
const mostGraphBytes = 1_500_000_000
/** Below this a model lives in the engine's first 16 MiB in either format. */
const fewestGraphBytes = 4 * 1024 * 1024
/** What examples are made from. */
const smallFiles = ['config.json', 'tokenizer.json', 'tokenizer_config.json']

/**
 * Resolves to the plan with the converted graph in the place of the original.
 *
 * @throws {ServingError} 400 where int8 weights change the answers too much, or the file is no ONNX model.
 */
export async function convertImport(plan: ImportPlan, options: ConversionOptions): Promise<ConvertedPlan> {
  const { graph, files } = plan
  const weights = files.filter(({ path }) => path === graph || isExternalData(path, graph))
  const sizeBytes = weights.reduce((sum, file) => sum + file.sizeBytes, 0)
  const quantize = quantizeFor(plan, options)
  const optimize = options.optimize === 'always' || (options.optimize === 'auto' && sizeBytes >= fewestGraphBytes)
  const unchanged = (note: string): ConvertedPlan => ({ ...plan, note, options: {} })
  const groupAttention = options.attention === 'grouped'
  if (graph.endsWith('.ort') || (quantize === 'none' && !optimize && !groupAttention)) return unchanged('')
  if (weights.some(({ isLazy }) => isLazy))
    return unchanged('not converted: the server fetches the weights itself; --upload brings them here first')
  if (sizeBytes > mostGraphBytes)
    return unchanged(`not converted: ${sizeBytes} bytes are more than the ${mostGraphBytes} that can be converted`)

  const read = new Map<string, FileInMemory>()
  for (const file of weights) read.set(file.path, await inMemory(file))
  const small = await smallOf(files)
  const { bytes, digest } = read.get(graph)!
  const external = new Map(
    [...read].filter(([path]) => path !== graph).map(([path, file]) => [baseName(path), file.bytes] as const),
  )
  const done = await inThread({ graph: bytes, external, small, quantize, optimize, groupAttention }, options.onStage)
  const note = `${graph} ${digest}: ${done.note}`
  const originals = files.map((file) => ({ ...file, ...(read.has(file.path) ? heldFile(read.get(file.path)!) : {}) }))
  if (!done.file) return { ...plan, files: originals, note, options: {}, sourceDigest: digest }

  const made = madeFile(graph, done.file)
  const others = originals.filter(({ path }) => options.keepOriginal || !read.has(path))
  return {
    ...plan,
    graph: made.path,
    files: [made, ...others],
    note,
    options: done.batchInvariant ? { batchInvariant: true } : {},
    sourceDigest: digest,
    ...(done.heapBytes ? { heapBytes: done.heapBytes } : {}),
  }
}

function quantizeFor({ wantsInt8 }: ImportPlan, { quantize }: ConversionChoice): 'int8' | 'force' | 'none' {
  if (quantize === 'auto') return wantsInt8 ? 'int8' : 'none'
  return quantize
}

interface FileInMemory {
  bytes: Uint8Array
  digest: Digest
}

/** Reads a file into memory that the thread sees too, so that a large one is there once. */
async function inMemory(file: SourceFile): Promise<FileInMemory> {
  const bytes = new Uint8Array(new SharedArrayBuffer(file.sizeBytes))
  const hash = createHash('sha256')
  let at = 0
  for await (const chunk of file.read()) {
    if (at + chunk.byteLength > file.sizeBytes) throw changed(file.path, `more than ${file.sizeBytes} bytes came`)
    bytes.set(chunk, at)
    hash.update(chunk)
    at += chunk.byteLength
  }
  if (at !== file.sizeBytes) throw changed(file.path, `${at} bytes came instead of ${file.sizeBytes}`)
  const digest: Digest = `sha256:${hash.digest('hex')}`
  if (file.digest !== undefined && file.digest !== digest) throw digestMismatch(file.path, file.digest, digest)
  return { bytes, digest }
}

async function smallOf(files: readonly UploadFile[]): Promise<Map<string, Uint8Array>> {
  const wanted = files.filter(
    ({ path, sizeBytes }) => smallFiles.includes(path) && sizeBytes <= limits.smallArtifactBytes,
  )
  const read = await Promise.all(wanted.map(async (file) => [file.path, (await inMemory(file)).bytes] as const))
  return new Map(read)
}

function heldFile({ bytes, digest }: FileInMemory): Pick<SourceFile, 'read' | 'digest'> {
  return {
    digest,
    async *read(from = 0) {
      yield bytes.subarray(from)
    },
  }
}

/** A file that the conversion made; its name tells that it is not the source's. */
function madeFile(graph: string, { format, bytes }: { format: string; bytes: Uint8Array<ArrayBuffer> }): UploadFile {
  const folder = graph.slice(0, graph.lastIndexOf('/') + 1)
  return {
    path: `${folder}model_glim.${format}`,
    sizeBytes: bytes.byteLength,
    async *read(from = 0) {
      yield bytes.subarray(from)
    },
  }
}

type Done = Extract<ThreadMessage, { kind: 'done' }>

/** Resolves to what the thread made. What ONNX Runtime prints there, about inputs that were only tried, is dropped. */
function inThread(input: ThreadInput, onStage: (stage: ConvertStage) => void): Promise<Done> {
  const thread = new Worker(new URL('./convert-thread.ts', import.meta.url), {
    workerData: input,
    stdout: true,
    stderr: true,
  })
  return new Promise<Done>((resolve, reject) => {
    thread.on('message', (message: ThreadMessage) => {
      if (message.kind === 'stage') onStage(message.stage)
      else if (message.kind === 'refused') reject(new ServingError(message.facts))
      else resolve(message)
    })
    thread.on('error', reject)
    thread.on('exit', (code) => reject(new Error(`The conversion ended with code ${code} and without a result.`)))
  }).finally(() => thread.terminate())
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
