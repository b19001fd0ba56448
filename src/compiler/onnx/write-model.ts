/**
 * Plain objects back into an ONNX file, as parts: large weights are the same memory that was read, so that a model is written
 * without a second copy of it.
 */
import { tooLarge } from '#contracts/errors.ts'
import type { OnnxAttribute, OnnxDimension, OnnxGraph, OnnxModel, OnnxNode, OnnxPort } from './model.ts'
import { writeTensor } from './read-tensor.ts'
import { joined, WireWriter } from './wire.ts'

const mostModelBytes = 2 ** 31 - 1

/** The file in parts, in order. @throws {ServingError} 413 beyond protobuf's 2 GiB. */
export function modelParts({ irVersion, producer, opsets, graph, rest }: OnnxModel): WireWriter {
  const out = new WireWriter().integer(1, irVersion).text(2, producer)
  for (const [domain, version] of opsets) out.message(8, new WireWriter().text(1, domain).integer(2, version))
  out.message(7, writeGraph(graph))
  for (const field of rest) out.raw(field)
  if (out.sizeBytes > mostModelBytes) throw tooLarge('An ONNX model', out.sizeBytes, mostModelBytes)
  return out
}

/** The file as one buffer. */
export function modelBytes(model: OnnxModel): Uint8Array<ArrayBuffer> {
  return joined(modelParts(model))
}

function writeGraph({ name, nodes, initializers, inputs, outputs, values, rest }: OnnxGraph): WireWriter {
  const out = new WireWriter().text(2, name)
  for (const node of nodes) out.message(1, writeNode(node))
  for (const tensor of initializers) out.message(5, writeTensor(tensor))
  for (const port of inputs) out.message(11, writePort(port))
  for (const port of outputs) out.message(12, writePort(port))
  for (const port of values) out.message(13, writePort(port))
  for (const field of rest) out.raw(field)
  return out
}

function writeNode({ name, operator, domain, inputs, outputs, attributes, rest }: OnnxNode): WireWriter {
  const out = new WireWriter()
  for (const input of inputs) out.text(1, input)
  for (const output of outputs) out.text(2, output)
  out.text(3, name).text(4, operator).text(7, domain)
  for (const attribute of attributes) out.message(5, writeAttribute(attribute))
  for (const field of rest) out.raw(field)
  return out
}

function writeAttribute(attribute: OnnxAttribute): WireWriter {
  const out = new WireWriter().text(1, attribute.name)
  switch (attribute.kind) {
    case 'float':
      out.float(2, attribute.value).integer(20, 1)
      break
    case 'int':
      out.integer(3, attribute.value).integer(20, 2)
      break
    case 'text':
      out.bytes(4, attribute.value).integer(20, 3)
      break
    case 'tensor':
      out.message(5, writeTensor(attribute.value)).integer(20, 4)
      break
    case 'graph':
      out.message(6, writeGraph(attribute.value)).integer(20, 5)
      break
    case 'floats':
      out.bytes(7, new Uint8Array(Float32Array.from(attribute.value).buffer)).integer(20, 6)
      break
    case 'ints':
      out.integers(8, attribute.value).integer(20, 7)
      break
    case 'texts':
      for (const text of attribute.value) out.bytes(9, text)
      out.integer(20, 8)
      break
    case 'graphs':
      for (const graph of attribute.value) out.message(11, writeGraph(graph))
      out.integer(20, 10)
      break
    case 'other':
      break
  }
  for (const field of attribute.rest) out.raw(field)
  return out
}

function writePort({ name, tensor, type, rest }: OnnxPort): WireWriter {
  const out = new WireWriter().text(1, name)
  if (type) out.bytes(2, type)
  else if (tensor) out.message(2, new WireWriter().message(1, writeTensorType(tensor)))
  for (const field of rest) out.raw(field)
  return out
}

function writeTensorType({ type, shape }: NonNullable<OnnxPort['tensor']>): WireWriter {
  const out = new WireWriter().integer(1, type)
  if (!shape) return out
  const sizes = new WireWriter()
  for (const size of shape) sizes.message(1, writeDimension(size))
  return out.message(2, sizes)
}

function writeDimension(size: OnnxDimension): WireWriter {
  if (size === null) return new WireWriter()
  return typeof size === 'number' ? new WireWriter().integer(1, size) : new WireWriter().text(2, size)
}
