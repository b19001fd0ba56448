/**
 * Products with int8 operands whose activations have one scale per row (the last axis of one token), so that a row's answer
 * never depends on the rows beside it. ONNX's own DynamicQuantizeLinear takes one scale for the whole batch.
 */
import type { GraphBuilder } from '../onnx/graph-builder.ts'

/** Names of an int8 matrix `[inputs, outputs]` and of its scales `[outputs]`. */
export interface Int8Matrix {
  values: string
  scales: string
}

interface QuantizedRows {
  values: string
  scale: string
}

/** The first operator set with integer products. */
export const oldestOpset = 10
/** From here on, axes are an input of ReduceMax. */
const axesAsInput = 18

const zeroPoint = 128
const float32 = 1

/** Adds products to a graph; each activation is quantised once, however many products read it. */
export class RowProducts {
  readonly #graph: GraphBuilder
  readonly #opset: number
  readonly #quantized = new Map<string, QuantizedRows>()

  constructor(graph: GraphBuilder, opset: number) {
    this.#graph = graph
    this.#opset = opset
  }

  /** Adds `x · weights` in float32 and returns its name, which is `output` if given. */
  product(x: string, weights: Int8Matrix, output?: string): string {
    const graph = this.#graph
    const { values, scale } = this.#rows(x)
    const whole = graph.add('MatMulInteger', [values, weights.values, graph.byte(zeroPoint)])
    const float = graph.add('Cast', [whole], { attributes: { to: float32 } })
    // Two multiplications, not one by the product of both scales: ORT fuses that one with the Cast and a bias behind it into
    // MatMulIntegerToFloat, which then scales the bias of every row too.
    const scaled = graph.add('Mul', [float, weights.scales])
    return graph.add('Mul', [scaled, scale], output === undefined ? {} : { outputs: [output] })
  }

  #rows(x: string): QuantizedRows {
    const known = this.#quantized.get(x)
    if (known) return known
    const graph = this.#graph
    const size = graph.add('Abs', [x])
    const top =
      this.#opset >= axesAsInput
        ? graph.add('ReduceMax', [size, graph.ints([-1])], { attributes: { keepdims: 1 } })
        : graph.add('ReduceMax', [size], { attributes: { axes: [-1], keepdims: 1 } })
    const scale = graph.add('Add', [graph.add('Mul', [top, graph.floats(1 / 127)]), graph.floats(1e-9)])
    const normal = graph.add('Div', [x, scale])
    const values = graph.add('QuantizeLinear', [normal, graph.floats(1), graph.byte(zeroPoint)])
    const rows = { values, scale }
    this.#quantized.set(x, rows)
    return rows
  }
}
