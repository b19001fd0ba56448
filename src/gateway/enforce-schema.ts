/** From a body's columns or rows to an entity's inputs, by its signature. Every refusal names the field and what was expected. */
import { badRequest } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import type { Field, Param, Signature } from '#contracts/signature.ts'
import { type NamedTensors, numericDtypes, type Tensor } from '#contracts/tensor.ts'
import { describe, schema, tensorFromJson } from './json-tensor.ts'

/** Rows of named cells, as data frames and instance lists give them. */
export interface Table {
  columns: readonly string[]
  rows: readonly (readonly unknown[])[]
}

/** Column-wise: an object of named tensors, or a bare value for the only required input. */
export function inputsFromColumns(value: unknown, signature: Signature, path = 'inputs'): NamedTensors {
  if (!isRecord(value)) {
    const [only, ...others] = signature.inputs.filter((field) => field.optional !== true)
    if (!only || others.length > 0)
      throw schema(path, `expected an object with ${listed(signature)}, got ${describe(value)}`)
    return { [only.name]: fitted(tensorFromJson(value, only.dtype, path), only, path) }
  }
  checkNames(Object.keys(value), signature, path)
  const inputs: Record<string, Tensor> = Object.create(null)
  for (const field of signature.inputs) {
    if (!Object.hasOwn(value, field.name)) continue
    const where = `${path}.${field.name}`
    inputs[field.name] = fitted(tensorFromJson(value[field.name], field.dtype, where), field, where)
  }
  checkRowCounts(inputs, signature, path)
  return inputs
}

/** Row-wise: cells of a column are stacked along a new first axis; one-sized trailing axes are added where the graph has them. */
export function inputsFromTable(table: Table, signature: Signature, path: string): NamedTensors {
  if (table.rows.length === 0) throw schema(path, 'expected at least one row, got none')
  if (table.rows.length > limits.rows)
    throw schema(path, `${table.rows.length} rows are more than the ${limits.rows} allowed`)
  const matrix = matrixFrom(table, signature, path)
  if (matrix) return matrix
  checkNames(table.columns, signature, path)
  const inputs: Record<string, Tensor> = Object.create(null)
  for (const field of signature.inputs) {
    const column = table.columns.indexOf(field.name)
    if (column < 0) continue
    const where = `${path}, column "${field.name}"`
    const cells = table.rows.map((row) => row[column])
    inputs[field.name] =
      field.shape.length === 0
        ? scalarFrom(cells, field, where)
        : fitted(tensorFromJson(cells, field.dtype, where), field, where)
  }
  return inputs
}

/** A list of instances: objects by name, or bare values for the only required input. */
export function tableFromInstances(instances: readonly unknown[], signature: Signature, path: string): Table {
  if (instances.length > 0 && !isRecord(instances[0])) {
    const [only, ...others] = signature.inputs.filter((field) => field.optional !== true)
    if (!only || others.length > 0)
      throw schema(`${path}[0]`, `expected an object with ${listed(signature)}, got ${describe(instances[0])}`)
    return { columns: [only.name], rows: instances.map((instance) => [instance]) }
  }
  return tableFromRecords(instances, path)
}

export function tableFromRecords(records: readonly unknown[], path: string): Table {
  const [first] = records
  if (first === undefined) return { columns: [], rows: [] }
  const columns = isRecord(first) ? Object.keys(first) : []
  const rows = records.map((record, index) => {
    if (!isRecord(record)) throw schema(`${path}[${index}]`, `expected an object of columns, got ${describe(record)}`)
    const names = Object.keys(record)
    const missing = columns.find((name) => !Object.hasOwn(record, name))
    if (missing !== undefined) throw schema(`${path}[${index}]`, `column "${missing}" of the first record is missing`)
    const extra = names.find((name) => !columns.includes(name))
    if (extra !== undefined) throw schema(`${path}[${index}]`, `column "${extra}" is not in the first record`)
    return columns.map((name) => record[name])
  })
  return { columns, rows }
}

/** @throws {ServingError} 400 for a parameter that the task does not have or a value outside its range. */
export function checkParams(params: unknown, known: readonly Param[], path = 'params'): Record<string, unknown> {
  if (params === undefined || params === null) return {}
  if (!isRecord(params)) throw badRequest(`${path}: expected an object, got ${describe(params)}.`, path)
  for (const [name, value] of Object.entries(params)) {
    const param = known.find((candidate) => candidate.name === name)
    const names = known.map((candidate) => candidate.name).join(', ')
    if (!param)
      throw badRequest(`${path}.${name}: the task has no such parameter; it has ${names || 'none'}.`, `${path}.${name}`)
    const problem = value === null ? undefined : problemWith(value, param)
    if (problem) throw badRequest(`${path}.${name}: expected ${problem}, got ${describe(value)}.`, `${path}.${name}`)
  }
  return params
}

/** The inputs of a signature in words. */
export function listed(signature: Signature): string {
  return signature.inputs
    .map((field) => `"${field.name}" (${field.dtype}${field.optional === true ? ', optional' : ''})`)
    .join(', ')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Gives a tensor the field's rank where only one-sized axes are in question, and checks every size. */
export function fitted(tensor: Tensor, field: Field, path: string): Tensor {
  if (hasShape(tensor.shape, field)) return tensor
  const shape = [...tensor.shape]
  if (isColumn(field) && shape.length === 0) shape.push(1)
  while (shape.length > 0 && shape.length < field.shape.length && field.shape[shape.length] === 1) shape.push(1)
  // An empty list cannot say how large the axes inside it would be; the signature does.
  while (shape.includes(0) && shape.length < field.shape.length) shape.push(Number(field.shape[shape.length]) || 0)
  if (!hasShape(shape, field))
    throw schema(
      path,
      `expected ${field.dtype} of shape [${field.shape.join(', ')}], got shape [${tensor.shape.join(', ')}]`,
    )
  return { ...tensor, shape }
}

function hasShape(shape: readonly number[], field: Field): boolean {
  if (shape.length !== field.shape.length) return false
  for (let axis = 0; axis < shape.length; axis++) {
    const size = field.shape[axis]
    if (typeof size === 'number' && size !== shape[axis]) return false
  }
  return true
}

function isColumn(field: Field): boolean {
  return (field.dtype === 'string' || field.dtype === 'binary') && field.shape.length === 1
}

function checkNames(names: readonly string[], signature: Signature, path: string): void {
  const extra = names.find((name) => !signature.inputs.some((field) => field.name === name))
  if (extra !== undefined) throw schema(path, `unexpected column "${extra}"; expected ${listed(signature)}`)
  const missing = signature.inputs.find((field) => field.optional !== true && !names.includes(field.name))
  if (missing)
    throw schema(
      path,
      `column "${missing.name}" (${missing.dtype}) is missing; got ${names.map((name) => `"${name}"`).join(', ') || 'no columns'}`,
    )
}

/** Columns of strings or pictures whose only axis has one name are rows of one request and must be equally many. */
function checkRowCounts(inputs: NamedTensors, signature: Signature, path: string): void {
  const [first, second] = signature.inputs
  if (!second) return
  const columns = signature.inputs.filter(
    (field) => isColumn(field) && field.shape[0] === first?.shape[0] && inputs[field.name],
  )
  const counts = new Set(columns.map((field) => inputs[field.name]!.shape[0]))
  if (counts.size > 1)
    throw schema(
      path,
      `columns ${columns.map((field) => `"${field.name}" (${inputs[field.name]!.shape[0]} rows)`).join(' and ')} differ in length`,
    )
}

/** A data frame of plain numbers for a graph with one matrix input: each column is a feature, in the order given. */
function matrixFrom(table: Table, signature: Signature, path: string): NamedTensors | undefined {
  const [field, ...others] = signature.inputs
  if (!field || others.length > 0 || field.shape.length !== 2 || table.columns.includes(field.name)) return undefined
  if (!(numericDtypes as readonly string[]).includes(field.dtype) || table.columns.length < 2) return undefined
  return { [field.name]: fitted(tensorFromJson(table.rows, field.dtype, path), field, path) }
}

/** A graph's scalar cannot differ by row. */
function scalarFrom(cells: readonly unknown[], field: Field, path: string): Tensor {
  if (cells.some((cell) => cell !== cells[0]))
    throw schema(path, 'expected the same value in every row, because the model takes one for the whole request')
  return fitted(tensorFromJson(cells[0], field.dtype, path), field, path)
}

function problemWith(value: unknown, param: Param): string | undefined {
  if (param.type === 'string') {
    const inList = param.values === undefined || param.values.includes(value as string)
    return typeof value === 'string' && inList
      ? undefined
      : param.values
        ? `one of ${param.values.join(', ')}`
        : 'a string'
  }
  if (param.type === 'boolean') return typeof value === 'boolean' ? undefined : 'true or false'
  const right = param.type === 'integer' ? Number.isInteger(value) : typeof value === 'number'
  const inRange =
    right &&
    (value as number) >= (param.minimum ?? Number.NEGATIVE_INFINITY) &&
    (value as number) <= (param.maximum ?? Number.POSITIVE_INFINITY)
  if (inRange) return undefined
  const kind = param.type === 'integer' ? 'an integer' : 'a number'
  const range = [
    param.minimum === undefined ? '' : ` from ${param.minimum}`,
    param.maximum === undefined ? '' : ` up to ${param.maximum}`,
  ].join('')
  return kind + range
}
