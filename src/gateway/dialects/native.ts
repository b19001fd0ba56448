/**
 * The reference platform's scoring dialect: four tabular forms, `text/csv`, and for embedders the LLM key `input`.
 * Wording of the refusals is what existing clients match on.
 */
import { parse as parseCsv } from 'csv-parse/browser/esm/sync'
import { badRequest, type ServingError } from '#contracts/errors.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import type { Field, Signature } from '#contracts/signature.ts'
import {
  checkParams,
  inputsFromColumns,
  inputsFromTable,
  isRecord,
  listed,
  type Table,
  tableFromInstances,
  tableFromRecords,
} from '../enforce-schema.ts'
import { describe, tensorToJson } from '../json-tensor.ts'

const tabularKeys = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const
const llmKeys = ['messages', 'prompt', 'input'] as const

/** Whether the body is to be read as an OpenAI embeddings request, whose reply is not wrapped in `predictions`. */
export function isEmbeddingsBody(body: unknown, version: ModelVersion): boolean {
  return isRecord(body) && version.task === 'feature-extraction' && 'input' in body && !hasTabularKey(body)
}

export function hasTabularKey(body: Readonly<Record<string, unknown>>): boolean {
  return tabularKeys.some((key) => key in body)
}

export function nativeRequest(body: unknown, version: Pick<ModelVersion, 'task' | 'signature'>): InvocationRequest {
  const { signature } = version
  const keys = isRecord(body) ? tabularKeys.filter((key) => Object.hasOwn(body, key)) : []
  const foreign = isRecord(body) ? llmKeys.find((key) => Object.hasOwn(body, key)) : undefined
  if (foreign && keys.length === 0) {
    throw badRequest(
      `Bad request: json: unknown field "${foreign}"; the model serves the task ${version.task} and takes one of ${tabularKeys.join(', ')} with ${listed(signature)}.`,
      foreign,
    )
  }
  if (!isRecord(body) || keys.length !== 1) {
    const came = !isRecord(body)
      ? describe(body)
      : keys.length > 1
        ? `both ${keys.join(' and ')}`
        : `the keys ${Object.keys(body).slice(0, 8).join(', ') || '(none)'}`
    throw badRequest(
      `The input must be a JSON dictionary with exactly one of the input fields ${tabularKeys.join(', ')}; got ${came}.`,
    )
  }
  const params = checkParams(body.params, signature.params)
  const key = keys[0]!
  return {
    inputs:
      key === 'inputs'
        ? inputsFromColumns(body.inputs, signature)
        : inputsFromTable(tableOf(key, body[key], signature), signature, key),
    params,
  }
}

/** A CSV body: a header line of columns; cells of numeric columns are read as numbers. */
export function csvRequest(text: string, version: ModelVersion): InvocationRequest {
  const { signature } = version
  let lines: string[][]
  try {
    lines = parseCsv(text, { bom: true, skip_empty_lines: true })
  } catch (error) {
    throw badRequest(`The CSV cannot be read: ${(error as Error).message}.`)
  }
  const [columns, ...rows] = lines
  if (!columns) throw badRequest('The CSV is empty; its first line must name the columns.')
  const twice = columns.find((name, index) => columns.indexOf(name) < index)
  if (twice !== undefined) throw badRequest(`The CSV names column "${twice}" twice.`)
  const dtypes = columns.map((name) => dtypeOfColumn(name, signature))
  const cells = rows.map((row) => row.map((cell, column) => cellValue(cell, dtypes[column])))
  return { inputs: inputsFromTable({ columns, rows: cells }, signature, 'csv'), params: {} }
}

/** `predictions`: one value per row for tasks with rows, vectors for embedders, named outputs for tensor entities. */
export function nativeReply(reply: InvocationReply, version: ModelVersion): unknown {
  if (reply.rows) return { predictions: reply.rows }
  const outputs = Object.entries(reply.outputs)
  if (version.task !== 'tensor') return { predictions: tensorToJson(outputs[0]![1]) }
  return { predictions: Object.fromEntries(outputs.map(([name, tensor]) => [name, tensorToJson(tensor)])) }
}

function tableOf(key: Exclude<(typeof tabularKeys)[number], 'inputs'>, value: unknown, signature: Signature): Table {
  if (key === 'dataframe_split') return tableFromSplit(value, signature)
  const named =
    key === 'dataframe_records' ? 'Dataframe records format must be a list of records' : 'Instances must be a list'
  if (!Array.isArray(value)) throw badRequest(`${named}. Got ${pythonType(value)}.`, key)
  return key === 'instances' ? tableFromInstances(value, signature, key) : tableFromRecords(value, key)
}

function tableFromSplit(value: unknown, signature: Signature): Table {
  if (!isRecord(value))
    throw badRequest(`Dataframe split format must be a dictionary. Got ${pythonType(value)}`, 'dataframe_split')
  const { data, columns = signature.inputs.slice(0, widthOf(data)).map((field) => field.name) } = value
  if (!isListOfStrings(columns)) throw invalidSplit(`columns must be a list of names, got ${describe(columns)}`)
  if (new Set(columns).size !== columns.length) throw invalidSplit('columns names one column twice')
  if (!Array.isArray(data)) throw invalidSplit(`data must be a list of rows, got ${describe(data)}`)
  for (const [index, row] of data.entries()) {
    if (!Array.isArray(row))
      throw invalidSplit(`data[${index}] must be a list of ${columns.length}, got ${describe(row)}`)
    if (row.length !== columns.length)
      throw invalidSplit(`data[${index}] has ${row.length} values for ${columns.length} columns`)
  }
  if (value.index !== undefined && (!Array.isArray(value.index) || value.index.length !== data.length))
    throw invalidSplit(`index must be a list of ${data.length}, one for each row`)
  return { columns, rows: data as unknown[][] }
}

function widthOf(data: unknown): number {
  return Array.isArray(data) && Array.isArray(data[0]) ? data[0].length : 0
}

function isListOfStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
}

function dtypeOfColumn(name: string, { inputs }: Signature): Field['dtype'] | undefined {
  const field = inputs.find((candidate) => candidate.name === name) ?? (inputs.length === 1 ? inputs[0] : undefined)
  return field?.dtype
}

/** Numbers as JSON would have them: what a double would round or cannot say stays text, for which the dtypes have forms. */
function cellValue(cell: string, dtype: Field['dtype'] | undefined): unknown {
  if (dtype === undefined || dtype === 'string' || dtype === 'binary') return cell
  const text = cell.trim()
  const value = Number(text)
  const isExact = dtype === 'int64' || dtype === 'uint64' ? Number.isSafeInteger(value) : Number.isFinite(value)
  return text !== '' && isExact ? value : text
}

function invalidSplit(problem: string): ServingError {
  return badRequest(
    `Provided dataframe_split field is not a valid dataframe representation: ${problem}.`,
    'dataframe_split',
  )
}

/** The reference says types in Python's words. */
function pythonType(value: unknown): string {
  if (value === null) return 'NoneType'
  if (Array.isArray(value)) return 'list'
  const names: Readonly<Record<string, string>> = {
    object: 'dictionary',
    string: 'str',
    number: 'number',
    boolean: 'bool',
  }
  return names[typeof value] ?? typeof value
}
