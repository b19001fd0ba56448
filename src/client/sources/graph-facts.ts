/**
 * What an ONNX file says of itself, without loading it: its inputs, and the files in which it keeps weights. Its protobuf is
 * walked field by field and weights are skipped, by position and not by reading, so that a graph of a gigabyte costs a few pages.
 */
import type { Field } from '#contracts/signature.ts'
import { type Dtype, dtypes } from '#contracts/tensor.ts'
import { ByteCursor } from './byte-cursor.ts'
import type { SourceFile } from './model-source.ts'
import { bytesIn, fieldsOf, messageOf, numberIn, textIn } from './protobuf.ts'

export interface GraphFacts {
  inputs: readonly Field[]
  /** Paths beside the graph. */
  weightFiles: readonly string[]
}

/** Numbers of fields in onnx.proto. */
const graphOfModel = 7
const weightsOfGraph = 5
const inputOfGraph = 11
const externalOfWeights = 13

/** A name and a shape, or a path, take a fraction of this. */
const mostEntryBytes = 64 * 1024

/** Resolves to null where the file cannot be read as ONNX; whoever loads it will say why. */
export async function graphFacts(file: SourceFile): Promise<GraphFacts | null> {
  const cursor = new ByteCursor(file)
  const inputs: Field[] = []
  const weightFiles = new Set<string>()
  try {
    for await (const model of fieldsOf(cursor, file.sizeBytes)) {
      if (model.number !== graphOfModel) continue
      for await (const { number, sizeBytes } of fieldsOf(cursor, cursor.at + model.sizeBytes)) {
        if (number === inputOfGraph && sizeBytes <= mostEntryBytes) {
          const input = inputOf(await cursor.take(sizeBytes))
          if (input) inputs.push(input)
        }
        if (number === weightsOfGraph) {
          const location = await locationOf(cursor, sizeBytes)
          if (location !== null) weightFiles.add(location)
        }
      }
    }
    return { inputs, weightFiles: [...weightFiles] }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  } finally {
    await cursor.close()
  }
}

/** `TensorProto.external_data`: pairs of which `location` names the file. */
async function locationOf(cursor: ByteCursor, sizeBytes: number): Promise<string | null> {
  let location: string | null = null
  for await (const field of fieldsOf(cursor, cursor.at + sizeBytes)) {
    if (field.number !== externalOfWeights || field.sizeBytes > mostEntryBytes) continue
    const pair = messageOf(await cursor.take(field.sizeBytes))
    if (textIn(pair, 1) === 'location') location = textIn(pair, 2)
  }
  return location
}

/** `ValueInfoProto`: name, then type.tensor_type with its element type and shape; null for sequences and maps. */
function inputOf(bytes: Uint8Array): Field | null {
  const port = messageOf(bytes)
  const type = bytesIn(port, 2)
  const tensor = type && bytesIn(messageOf(type), 1)
  if (!tensor) return null
  const parts = messageOf(tensor)
  const dtype = Object.keys(dtypes).find((name) => dtypes[name as Dtype].onnx === numberIn(parts, 1))
  const shape = bytesIn(parts, 2)
  const dims = shape ? (messageOf(shape).get(1) ?? []) : []
  return dtype === undefined ? null : { name: textIn(port, 1), dtype: dtype as Dtype, shape: dims.map(sizeOf) }
}

function sizeOf(dim: number | Uint8Array): number | string {
  const parts = messageOf(dim instanceof Uint8Array ? dim : new Uint8Array())
  return numberIn(parts, 1) ?? (textIn(parts, 2) || '?')
}
