/**
 * fp32 to int8, for a graph that stays right for every batch: weights of products become int8 with a scale per column and
 * activations uint8 with a scale per row (`row-products.ts`), embedding tables int8 with a scale per row. Convolutions,
 * normalisations, learned positions and everything small stay as they are.
 *
 * A table that is also the last product's matrix (tied embeddings) is stored once, in the product's form, and looked up by column.
 */
import { dtypes } from '#contracts/tensor.ts'
import { GraphBuilder } from '../onnx/graph-builder.ts'
import { floatAttribute, intAttribute, type OnnxModel, type OnnxNode } from '../onnx/model.ts'
import { modelParts } from '../onnx/write-model.ts'
import { type ConstantMatrix, type Constants, constantMatrices, withoutUnread } from './constants.ts'
import { int8Columns, int8Rows, transposed } from './int8-weights.ts'
import { type Int8Matrix, oldestOpset, RowProducts } from './row-products.ts'

export interface Quantized {
  model: OnnxModel
  /** Products and tables that are int8 now. */
  products: number
  tables: number
  /** Size of the file before and after. */
  bytesBefore: number
  bytesAfter: number
}

/** Below these a product or a table gains nothing. */
const fewestElements = 1_024
const fewestInputs = 16
/** Ids are handed on a few times at most; a graph that runs in circles never ends. */
const mostSteps = 16

/** The model with int8 weights, or the reason why it has none; the given model is not changed. */
export function quantizeModel(model: OnnxModel): Quantized | string {
  const opset = model.opsets.get('') ?? 1
  if (opset < oldestOpset)
    return `the graph is of operator set ${opset}, and integer products exist from ${oldestOpset} on`
  const quantizing = new Quantizing(model, opset)
  for (const node of model.graph.nodes) quantizing.take(node)
  const { products, tables } = quantizing
  if (products + tables === 0) return 'the graph has no large float32 matrices in products or look-ups'
  const result = { ...model, graph: withoutUnread(quantizing.graph) }
  const [bytesBefore, bytesAfter] = [modelParts(model).sizeBytes, modelParts(result).sizeBytes]
  return { model: result, products, tables, bytesBefore, bytesAfter }
}

class Quantizing {
  products = 0
  tables = 0
  readonly #model: OnnxModel
  readonly #constants: Constants
  readonly #out: GraphBuilder
  readonly #rowProducts: RowProducts
  readonly #matrices = new Map<string, Int8Matrix>()
  readonly #producers: ReadonlyMap<string, OnnxNode>
  /** The table's tensor by the product's value that holds the same numbers. */
  readonly #tied: ReadonlyMap<string, string>

  constructor(model: OnnxModel, opset: number) {
    this.#model = model
    this.#constants = constantMatrices(model)
    this.#out = new GraphBuilder({ ...model.graph, initializers: [...model.graph.initializers] })
    this.#out.graph.nodes = []
    this.#rowProducts = new RowProducts(this.#out, opset)
    this.#producers = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
    this.#tied = this.#tiedTables()
  }

  get graph() {
    return this.#out.graph
  }

  /** Adds the node, or what takes its place. */
  take(node: OnnxNode): void {
    if (node.domain === '') {
      if (node.operator === 'MatMul' && this.#matMul(node)) return
      if (node.operator === 'Gemm' && this.#gemm(node)) return
      if (node.operator === 'Gather' && this.#lookUp(node)) return
    }
    this.#out.graph.nodes.push(node)
  }

  #matMul({ inputs, outputs }: OnnxNode): boolean {
    const [x, weights] = inputs as [string, string]
    if (!this.#isProductMatrix(weights, false)) return false
    this.#rowProducts.product(x, this.#matrix(weights, false, 1), outputs[0])
    this.products += 1
    return true
  }

  /** `alpha · x · W + beta · c` */
  #gemm(node: OnnxNode): boolean {
    const [x, weights, addend] = node.inputs as [string, string, string | undefined]
    const isTurned = intAttribute(node, 'transB', 0) === 1
    if (intAttribute(node, 'transA', 0) === 1 || !this.#isProductMatrix(weights, isTurned)) return false
    const [output] = node.outputs
    const matrix = this.#matrix(weights, isTurned, floatAttribute(node, 'alpha', 1))
    const beta = floatAttribute(node, 'beta', 1)
    if (!addend) this.#rowProducts.product(x, matrix, output)
    else {
      const product = this.#rowProducts.product(x, matrix)
      const sum = beta === 1 ? addend : this.#out.add('Mul', [addend, this.#out.floats(beta)])
      this.#out.add('Add', [product, sum], { outputs: [output!] })
    }
    this.products += 1
    return true
  }

  /** Rows of a table by token ids that are an input of the graph. */
  #lookUp(node: OnnxNode): boolean {
    const [name, ids] = node.inputs as [string, string]
    const table = this.#tableOf(node)
    if (!table) return false
    const out = this.#out
    const tiedTo = this.#tied.get(name)
    const rank = this.#rankOf(ids)
    let [values, scales]: [string, string] = ['', '']
    if (tiedTo !== undefined && rank !== undefined) {
      const matrix = this.#matrix(...(JSON.parse(tiedTo) as [string, boolean]), 1)
      const columns = out.add('Gather', [matrix.values, ids], { attributes: { axis: 1 } })
      const lastFirst = [...Array.from({ length: rank }, (_, axis) => axis + 1), 0]
      values = out.add('Transpose', [columns], { attributes: { perm: lastFirst } })
      scales = this.#scaleColumn(matrix.scales, table.rows)
    } else {
      const rows = int8Rows(floatsIn(table), table.columns)
      const [base, shape] = [table.tensor.name || name, [table.rows, table.columns]]
      const stored = out.constant(out.fresh(`${base}.int8`), { dtype: 'int8', shape, values: rows.values })
      values = out.add('Gather', [stored, ids])
      scales = out.constant(out.fresh(`${base}.scale`), {
        dtype: 'float32',
        shape: [table.rows, 1],
        values: rows.scales,
      })
    }
    const float = out.add('Cast', [values], { attributes: { to: dtypes.float32.onnx } })
    out.add('Mul', [float, out.add('Gather', [scales, ids])], { outputs: [node.outputs[0]!] })
    this.tables += 1
    return true
  }

  #tableOf(node: OnnxNode): ConstantMatrix | undefined {
    const [name, ids] = node.inputs as [string, string]
    const table = this.#constants.get(name)
    if (!table || table.isTransposed || intAttribute(node, 'axis', 0) !== 0) return undefined
    // Positions and rotary angles are few and want their precision; token ids come from outside.
    const source = this.#sourceOf(ids)
    if (source === undefined || /position/i.test(source)) return undefined
    return table.columns >= fewestInputs && isLarge(table) && hasFiniteValues(table) ? table : undefined
  }

  #isProductMatrix(name: string, isTurned: boolean): boolean {
    const matrix = this.#constants.get(name)
    if (!matrix || !isLarge(matrix)) return false
    if ((isTurned ? matrix.columns : matrix.rows) < fewestInputs) return false
    return hasFiniteValues(matrix)
  }

  /** The int8 form of a value, made once however many nodes read it. */
  #matrix(name: string, isTurned: boolean, factor: number): Int8Matrix {
    const { tensor, isTransposed, rows, columns } = this.#constants.get(name)!
    const turn = isTransposed !== isTurned
    const key = JSON.stringify([tensor.name || name, turn, factor])
    const known = this.#matrices.get(key)
    if (known) return known
    const floats = floatsIn({ tensor })
    const [inputs, outputs] = isTurned ? [columns, rows] : [rows, columns]
    const { values, scales } = int8Columns(turn ? transposed(floats, inputs) : floats, outputs)
    const [out, base] = [this.#out, tensor.name || name]
    const matrix = {
      values: out.constant(out.fresh(`${base}.int8`), { dtype: 'int8', shape: [inputs, outputs], values }),
      scales: out.constant(out.fresh(`${base}.scale`), {
        dtype: 'float32',
        shape: [outputs],
        values: factor === 1 ? scales : scales.map((scale) => scale * factor),
      }),
    }
    this.#matrices.set(key, matrix)
    return matrix
  }

  /** The same scales as a column, which a look-up brings back with an axis to spread along. */
  #scaleColumn(scales: string, rows: number): string {
    const { bytes } = this.#out.graph.initializers.find(({ name }) => name === scales)!
    const name = this.#out.fresh(`${scales}.column`)
    return this.#out.constant(name, { dtype: 'float32', shape: [rows, 1], values: bytes })
  }

  /** Looks among the products for the matrices that are a table turned over, by name or by content. */
  #tiedTables(): Map<string, string> {
    const { nodes } = this.#model.graph
    const tables = new Map(
      nodes.flatMap((node) => {
        const table = node.operator === 'Gather' && node.domain === '' ? this.#tableOf(node) : undefined
        return table ? [[node.inputs[0]!, table] as const] : []
      }),
    )
    const tied = new Map<string, string>()
    for (const node of nodes) {
      const isTurned = node.operator === 'Gemm' && intAttribute(node, 'transB', 0) === 1
      if (node.domain !== '' || (node.operator !== 'MatMul' && node.operator !== 'Gemm')) continue
      const name = node.inputs[1]!
      const matrix = this.#constants.get(name)
      if (!matrix || floatAttribute(node, 'alpha', 1) !== 1 || intAttribute(node, 'transA', 0) === 1) continue
      for (const [tableName, table] of tables) {
        if (isTableTurned(table, matrix, isTurned)) tied.set(tableName, JSON.stringify([name, isTurned]))
      }
    }
    return tied
  }

  /** The graph's input from which these ids come unchanged, if they do. */
  #sourceOf(name: string): string | undefined {
    const passing = new Set(['Cast', 'Identity', 'Reshape', 'Unsqueeze', 'Squeeze', 'Flatten'])
    let at = name
    for (let steps = 0; steps < mostSteps; steps++) {
      if (this.#model.graph.inputs.some((port) => port.name === at)) return at
      const producer = this.#producers.get(at)
      if (!producer || !passing.has(producer.operator)) return undefined
      at = producer.inputs[0] ?? ''
    }
    return undefined
  }

  #rankOf(name: string): number | undefined {
    const { inputs, values } = this.#model.graph
    return [...inputs, ...values].find((port) => port.name === name)?.tensor?.shape?.length
  }
}

function isTableTurned(table: ConstantMatrix, matrix: ConstantMatrix, isTurned: boolean): boolean {
  const turn = matrix.isTransposed !== isTurned
  if (matrix.tensor === table.tensor) return turn
  const [rows, columns] = matrix.tensor.shape
  if (turn) return rows === table.rows && columns === table.columns && sameFloats(matrix, table)
  return rows === table.columns && columns === table.rows && sameTurned(matrix, table)
}

function sameFloats(left: ConstantMatrix, right: ConstantMatrix): boolean {
  const [a, b] = [floatsIn(left), floatsIn(right)]
  return a.every((value, index) => value === b[index])
}

function sameTurned(turned: ConstantMatrix, table: ConstantMatrix): boolean {
  const [a, b] = [floatsIn(turned), floatsIn(table)]
  for (let row = 0; row < table.rows; row++)
    for (let column = 0; column < table.columns; column++)
      if (a[column * table.rows + row] !== b[row * table.columns + column]) return false
  return true
}

function isLarge({ rows, columns }: ConstantMatrix): boolean {
  return rows * columns >= fewestElements
}

function hasFiniteValues(matrix: ConstantMatrix): boolean {
  return floatsIn(matrix).every(Number.isFinite)
}

/** The numbers of a float32 tensor as the file has them; a copy only where the file does not align them. */
function floatsIn({ tensor: { bytes } }: Pick<ConstantMatrix, 'tensor'>): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  return new Float32Array(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / 4)
}
