/** A loaded graph. Everything that a run takes from the heap is back when the run ends, also when it fails. */
import { invalidParameter } from '#contracts/errors.ts'
import type { NamedTensors } from '#contracts/tensor.ts'
import type { Ort } from './instance.ts'
import { freePorts, type Port, type Ports } from './ports.ts'
import type { Pointer } from './private-exports.ts'
import { fromHeap, type GraphTensor, type HeapTensor, toHeap } from './tensors.ts'

export interface SessionState {
  readonly handle: Pointer
  readonly ports: Ports
  readonly modelBytes: number
  /** The block of a model that is used where it lies; 0 for none. */
  readonly keptBlock: Pointer
}

export class OrtSession {
  readonly ort: Ort
  readonly handle: Pointer
  readonly inputs: readonly Port[]
  /** The outputs that are tensors. */
  readonly outputs: readonly Port[]
  /** Size of the model's file and of those with external weights. */
  readonly modelBytes: number
  readonly #ports: Ports
  readonly #keptBlock: Pointer

  /** `keptBlock` is freed with the session; 0 for none. */
  constructor(ort: Ort, handle: Pointer, ports: Ports, modelBytes: number, keptBlock: Pointer) {
    this.ort = ort
    this.handle = handle
    this.inputs = ports.inputs
    this.outputs = ports.outputs
    this.modelBytes = modelBytes
    this.#ports = ports
    this.#keptBlock = keptBlock
  }

  /**
   * Runs the graph once: copies the inputs in, and the wanted outputs (all, if absent) out.
   *
   * @throws {ServingError} 400 naming a missing input or an unknown output.
   * @throws {OrtError} what ORT says of inputs that the graph refuses.
   */
  run(inputs: NamedTensors, wanted?: readonly string[]): Record<string, GraphTensor> {
    const outputs = wanted ? wanted.map((name) => this.outputNamed(name)) : this.outputs
    const given: HeapTensor[] = []
    let handles: readonly Pointer[] = []
    try {
      for (const port of this.inputs) {
        const tensor = Object.hasOwn(inputs, port.name) ? inputs[port.name] : undefined
        if (!tensor) throw invalidParameter(port.name, 'the graph needs this input')
        given.push(toHeap(this.ort, port.name, tensor))
      }
      handles = this.runHandles(given, outputs)
      return Object.fromEntries(outputs.map(({ name }, index) => [name, fromHeap(this.ort, handles[index]!)]))
    } finally {
      // After a trap the heap is nobody's any more, and a second failure would hide the first.
      if (!this.ort.trapped) {
        for (const handle of handles) this.ort.module._OrtReleaseTensor(handle)
        for (const tensor of given) tensor.release()
      }
    }
  }

  /**
   * Runs on tensors that are in the heap, in the order of `inputs`; returns handles that the caller releases. An output whose
   * `bound` handle is not 0 is written into that tensor, which may lie over an input.
   */
  runHandles(
    given: readonly Pick<HeapTensor, 'handle'>[],
    outputs: readonly Port[],
    bound: readonly Pointer[] = [],
  ): Pointer[] {
    const { ort, inputs } = this
    const [inputCount, outputCount] = [inputs.length, outputs.length]
    return ort.onStack(8 * (inputCount + outputCount) + 4, (at) => {
      const [inputNames, values] = [at, at + 4 * inputCount]
      const [outputNames, results] = [values + 4 * inputCount, values + 4 * (inputCount + outputCount)]
      ort.words(inputNames, inputCount).set(inputs.map((port) => port.pointer))
      ort.words(values, inputCount).set(given.map((tensor) => tensor.handle))
      ort.words(outputNames, outputCount).set(outputs.map((port) => port.pointer))
      ort.words(results, outputCount).fill(0).set(bound)
      const status = ort.call('a run', () =>
        ort.module._OrtRun(this.handle, inputNames, values, inputCount, outputNames, outputCount, results, 0),
      )
      if (status !== 0) throw ort.lastError('Running the graph')
      return [...ort.words(results, outputCount)]
    })
  }

  /** @throws {ServingError} 400 where the graph has no such tensor output. */
  outputNamed(name: string): Port {
    const port = this.outputs.find((output) => output.name === name)
    if (port) return port
    const problem = this.#ports.unusable.get(name)
    if (problem) throw invalidParameter('outputs', `the graph's output "${name}" is ${problem}`)
    const names = this.outputs.map((output) => `"${output.name}"`).join(', ')
    throw invalidParameter('outputs', `the graph has no output "${name}"; it has ${names}`)
  }

  /** What this object knows beyond what lies in the heap: with an equal heap it makes an equal session. */
  get state(): SessionState {
    return { handle: this.handle, ports: this.#ports, modelBytes: this.modelBytes, keptBlock: this.#keptBlock }
  }

  /** Gives everything back to the heap; the session is dead afterwards. */
  release(): void {
    freePorts(this.ort, this.#ports.pointers)
    this.ort.module._OrtReleaseSession(this.handle)
    if (this.#keptBlock !== 0) this.ort.free(this.#keptBlock)
  }
}
