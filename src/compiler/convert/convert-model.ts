/**
 * A graph as it came into the graph that is served: int8 weights where that was asked for, and ORT's own format where that is
 * verified. What cannot be converted is told and stays as it is; only a broken file, and a quantisation that changes the answers
 * beyond the bounds of `accuracy.ts`, are errors.
 *
 * Every form is run. ORT's optimiser can be wrong, in the fusion of integer products for one, so what will be served is compared with
 * the same model unoptimised; and an `.ort` file must give the very bits that the `.onnx` file would.
 */
import { badRequest, isServingError } from '#contracts/errors.ts'
import { OrtError, OrtTrapped } from '#src/engine/ort/error.ts'
import type { OnnxModel } from '../onnx/model.ts'
import { readModel } from '../onnx/read-model.ts'
import { modelParts } from '../onnx/write-model.ts'
import { accuracyOf, accuracyText, driftIn, type OutputAccuracy, sameBits } from './accuracy.ts'
import { type ExampleSource, examplesFor } from './examples.ts'
import { grouped } from './grouped-attention.ts'
import { type Quantized, quantizeModel } from './quantize.ts'
import { answeredExamples, isBatchInvariant, runVariant, type Variant, type VariantRun } from './run-variants.ts'
import { type Engine, type FileParts, type OrtRuntime, openEngine, saveOrt } from './save-ort.ts'

export interface ConvertOptions {
  runtime: OrtRuntime
  /** `force` keeps int8 weights whatever they do to the answers. */
  quantize: 'int8' | 'force' | 'none'
  optimize: boolean
  /** Puts ORT's GroupQueryAttention in the place of plain attention with a cache. */
  groupAttention?: boolean
  examples: ExampleSource
  /** The files of weights beside the graph, by the name that it uses. */
  external?: ReadonlyMap<string, Uint8Array>
  onStage?(stage: ConvertStage): void
}

interface Opened extends ConvertOptions {
  engine: Engine
}

export type ConvertStage = 'reading' | 'quantizing' | 'comparing' | 'optimizing'

export interface Conversion {
  /** What to serve; null where the graph stays as it came. */
  file: { format: 'onnx' | 'ort'; parts: readonly Uint8Array[]; sizeBytes: number } | null
  /** One line for people that the version keeps. */
  note: string
  /** Of int8 weights: how the answers compare with the original's. */
  accuracy?: readonly OutputAccuracy[]
  /** Whether a row's answer has the same bits whatever rows it shares a run with; checked on the examples. */
  batchInvariant?: boolean
  /** Memory and time of loading, as the graph came and as it is served; absent where nothing was run. */
  loads?: { before: Load; after: Load }
}

export interface Load {
  createMs: number
  heapBytes: number
}

/** The served form and the unoptimised one may differ by rounding, not in direction. */
const leastOwnCosine = 0.9999

/** @throws {ServingError} 400 for a file that is no ONNX model, and for answers that drift too far. */
export async function convertModel(bytes: Uint8Array, given: ConvertOptions): Promise<Conversion> {
  const { onStage = () => {}, external } = given
  onStage('reading')
  const model = readModel(bytes, external ? { external } : {})
  const options = { ...given, engine: await openEngine(given.runtime) }
  try {
    if (!options.groupAttention) return await weightsConverted(model, options)
    const attention = grouped(model, options.engine, options.examples)
    if (typeof attention === 'string') {
      const converted = await weightsConverted(model, options)
      return { ...converted, note: `attention as it came: ${attention}; ${converted.note}` }
    }
    const { file, note, ...more } = await weightsConverted(attention.model, options)
    return {
      ...more,
      file: file ?? { format: 'onnx', ...modelParts(attention.model) },
      note: `attention grouped in ${attention.layers} layers; ${note}`,
    }
  } catch (error) {
    // Refusals of ours are for the caller; that the engine cannot do it leaves the graph as it is.
    if (isServingError(error)) throw error
    if (error instanceof OrtError || error instanceof OrtTrapped || error instanceof RangeError)
      return { file: null, note: `not converted: ${firstLine(error.message)}` }
    throw error
  }
}

function weightsConverted(model: OnnxModel, options: Opened): Promise<Conversion> {
  return options.quantize === 'none' ? optimized(model, modelParts(model), options) : quantized(model, options)
}

async function optimized(model: OnnxModel, original: FileParts, options: Opened): Promise<Conversion> {
  const { runtime, engine, onStage = () => {} } = options
  if (!options.optimize) return { file: null, note: 'not converted' }
  onStage('optimizing')
  const served: Variant = { file: original, level: 99 }
  const before = answeredExamples(engine, served, (inputs) => examplesFor(inputs, options.examples))
  const { examples, refusal } = before
  if (examples.length === 0)
    return { file: null, note: `not converted: none of the generated inputs is answered (${firstLine(refusal)})` }
  const file = saveOrt(engine, modelParts(model))
  onStage('comparing')
  const after = runVariant(await openEngine(runtime), { file, isOrt: true, level: 99 }, examples)
  const loads = { before: loadOf(before), after: loadOf(after) }
  if (!sameBits(before.outputs, after.outputs))
    return { file: null, note: 'not converted: the optimised graph does not give the same bits', loads }
  const plain = runVariant(engine, { file: original, level: 0 }, examples)
  const problem = ownDrift(plain, after)
  if (problem) return { file: null, note: `not converted: ${problem}`, loads }
  return { file: { format: 'ort', ...file }, note: 'optimised, with the same bits as the original', loads }
}

async function quantized(model: OnnxModel, options: Opened): Promise<Conversion> {
  const { runtime, engine, quantize, onStage = () => {} } = options
  onStage('quantizing')
  const original = modelParts(model)
  const notQuantized = async (reason: string): Promise<Conversion> => {
    const kept = await optimized(model, original, options)
    return { ...kept, note: `not quantised: ${reason}; ${kept.note}` }
  }
  const changed = quantizeModel(model)
  if (typeof changed === 'string') return notQuantized(changed)
  const served: Variant = { file: original, level: 99 }
  const before = answeredExamples(engine, served, (inputs) => examplesFor(inputs, options.examples))
  const { examples, refusal } = before
  if (examples.length === 0) return notQuantized(`none of the generated inputs is answered (${firstLine(refusal)})`)
  onStage('comparing')
  const int8 = modelParts(changed.model)
  const plain = runVariant(engine, { file: int8, level: 0 }, examples)
  const accuracy = accuracyOf(before.outputs, plain.outputs)
  const drift = driftIn(accuracy)
  if (drift && quantize !== 'force')
    throw badRequest(`Quantised to int8, ${drift}. Use --quantize force to take it all the same, or --quantize none.`)

  // In an engine of its own, whose memory tells what an endpoint will need.
  const after = runVariant(await openEngine(runtime), { file: int8, level: 99 }, examples)
  const problem = ownDrift(plain, after)
  if (problem) throw badRequest(`The quantised graph cannot be served: ${problem}.`)
  const note = `quantised to int8 by row (${summary(changed)}; ${accuracyText(accuracy)})`
  const loads = { before: loadOf(before), after: loadOf(after) }
  const batchInvariant = isBatchInvariant(engine, { file: int8, level: 99 }, examples)
  const asOnnx: Conversion = { file: { format: 'onnx', ...int8 }, note, accuracy, batchInvariant, loads }
  if (!options.optimize) return asOnnx

  onStage('optimizing')
  const file = saveOrt(engine, int8)
  const ort = runVariant(await openEngine(runtime), { file, isOrt: true, level: 99 }, examples)
  if (!sameBits(after.outputs, ort.outputs))
    return { ...asOnnx, note: `${note}; not optimised: the optimised graph does not give the same bits` }
  return {
    ...asOnnx,
    file: { format: 'ort', ...file },
    note: `${note}; optimised, with the same bits`,
    loads: { before: loads.before, after: loadOf(ort) },
  }
}

/** How what is served differs from the same graph unoptimised; undefined where that is rounding. */
function ownDrift(plain: VariantRun, served: VariantRun): string | undefined {
  const worst = accuracyOf(plain.outputs, served.outputs).find(({ cosine }) => !(cosine >= leastOwnCosine))
  return (
    worst &&
    `ORT's optimised form differs from the graph itself (output "${worst.output}", cosine ${worst.cosine.toFixed(5)})`
  )
}

function summary({ products, tables, bytesBefore, bytesAfter }: Quantized): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
  return `${products} products, ${tables} tables, ${megabytes(bytesBefore)} to ${megabytes(bytesAfter)} MB`
}

function loadOf({ createMs, heapBytes }: VariantRun): Load {
  return { createMs, heapBytes }
}

function firstLine(text: string): string {
  return text.split('\n')[0]!.slice(0, 300)
}
