/**
 * The inputs and outputs of a graph. Not every output is a tensor: scikit-learn's classifiers end in a ZipMap, a sequence of
 * maps. Such outputs are listed apart and never asked for, so that the tensors beside them can be served.
 */
import { modelFailed } from '#contracts/errors.ts'
import type { Dtype } from '#contracts/tensor.ts'
import type { Ort } from './instance.ts'
import type { Pointer } from './private-exports.ts'
import { dtypeOf } from './tensors.ts'

export interface Port {
  readonly name: string
  readonly dtype: Dtype
  /** A size, a symbolic name, or `?` where the graph says nothing. */
  readonly shape: readonly (number | string)[]
  /** The name as ORT keeps it; runs take pointers. */
  readonly pointer: Pointer
}

export interface Ports {
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** Outputs that are no tensors, by name, with the reason. */
  readonly unusable: ReadonlyMap<string, string>
  /** The names as ORT keeps them, all of them; freed with the session. */
  readonly pointers: readonly Pointer[]
}

interface RawPort {
  name: string
  pointer: Pointer
  /** 0 where the value is a sequence, a map or an optional. */
  type: number
  shape: readonly (number | string)[]
}

/** Reads the ports of a session. @throws {ServingError} 400 for a graph with an input, or only outputs, that no tensor fits. */
export function readPorts(ort: Ort, session: Pointer): Ports {
  const pointers: Pointer[] = []
  try {
    const [inputCount, outputCount] = countPorts(ort, session)
    const raw = Array.from({ length: inputCount + outputCount }, (_, index) => {
      const port = readPort(ort, session, index)
      pointers.push(port.pointer)
      return port
    })
    const inputs = raw.slice(0, inputCount).map((port) => {
      const problem = problemOf(port)
      if (problem) throw modelFailed(`The graph's input "${port.name}" is ${problem}; only tensors can be given.`)
      return toPort(port)
    })
    const last = raw.slice(inputCount)
    const outputs = last.filter((port) => problemOf(port) === undefined).map(toPort)
    const unusable = new Map(last.flatMap((port) => (problemOf(port) ? [[port.name, problemOf(port)!] as const] : [])))
    if (outputs.length === 0) {
      const list = [...unusable].map(([name, problem]) => `"${name}" is ${problem}`).join(', ')
      throw modelFailed(`The graph has no tensor output: ${list}. Export it without ZipMap (zipmap=False).`)
    }
    return { inputs, outputs, unusable, pointers }
  } catch (error) {
    freePorts(ort, pointers)
    throw error
  }
}

/** Gives the names of ports back to the heap. */
export function freePorts(ort: Ort, pointers: readonly Pointer[]): void {
  for (const pointer of pointers) ort.module._OrtFree(pointer)
}

function countPorts(ort: Ort, session: Pointer): [number, number] {
  return ort.onStack(8, (at) => {
    if (ort.module._OrtGetInputOutputCount(session, at, at + 4) !== 0)
      throw ort.lastError('Counting inputs and outputs')
    const [inputs = 0, outputs = 0] = ort.words(at, 2)
    return [inputs, outputs]
  })
}

/** The metadata block: element type, rank, `rank` pointers to symbolic names (or 0), `rank` sizes (-1 where unknown). */
function readPort(ort: Ort, session: Pointer, index: number): RawPort {
  const [pointer, block] = ort.onStack(8, (at) => {
    if (ort.module._OrtGetInputOutputMetadata(session, index, at, at + 4) !== 0) throw ort.lastError('Reading a port')
    return [...ort.words(at, 2)] as [number, number]
  })
  const name = ort.cString(pointer)
  const [type = 0] = ort.words(block, 1)
  const rank = type === 0 ? 0 : ort.words(block, 2)[1]!
  const [symbols, sizes] = [ort.words(block + 8, rank), ort.words(block + 8 + 4 * rank, rank)]
  const shape = Array.from(symbols, (symbol, axis) =>
    dimension(symbol === 0 ? '' : ort.cString(symbol), sizes[axis]! | 0),
  )
  ort.module._OrtFree(block)
  return { name, pointer, type, shape }
}

function dimension(symbol: string, size: number): number | string {
  if (symbol !== '') return symbol
  return size < 0 ? '?' : size
}

function problemOf(port: RawPort): string | undefined {
  if (port.type === 0) return 'a sequence, a map or an optional, not a tensor'
  if (dtypeOf(port.type) === undefined) return `a tensor of ONNX element type ${port.type}, which is not supported`
  return undefined
}

function toPort({ name, pointer, type, shape }: RawPort): Port {
  return { name, pointer, dtype: dtypeOf(type)!, shape }
}
