/**
 * MLflow's model signature as ours. MLflow has two kinds of schema: tensors with a numpy dtype and a shape where −1 fits any
 * size, and table columns with a type of its own; both are lists, and a name may be missing where there is only one.
 */
import * as z from 'zod'
import { badRequest, type ServingError } from '#contracts/errors.ts'
import type { Field, Param, Signature } from '#contracts/signature.ts'
import { type Dtype, dtypes } from '#contracts/tensor.ts'

const tensorSchema = z.object({
  type: z.literal('tensor'),
  name: z.string().nullish(),
  'tensor-spec': z.object({ dtype: z.string(), shape: z.array(z.number().int()) }),
})
const columnSchema = z.object({
  type: z.string(),
  name: z.string().nullish(),
  required: z.boolean().optional(),
  /** Older than `required`. */
  optional: z.boolean().optional(),
})
const schemaSchema = z.array(z.union([tensorSchema, columnSchema]))
const paramsSchema = z.array(
  z.object({
    name: z.string(),
    type: z.string(),
    default: z.unknown().optional(),
    shape: z.array(z.number()).nullish(),
  }),
)

/** The parts of a signature as MLflow writes them, parsed. */
export interface MlflowParts {
  inputs?: unknown
  outputs?: unknown
  params?: unknown
}

/** @throws {ServingError} 400 naming the field that glim has no form for. */
export function signatureFromMlflow({ inputs, outputs, params }: MlflowParts): Signature {
  return { inputs: fieldsOf(inputs, 'inputs'), outputs: fieldsOf(outputs, 'outputs'), params: paramsOf(params) }
}

/**
 * Compares with the graph's own inputs those that bear the same name in both.
 *
 * MLflow feeds doubles to a graph of floats, as tables of Python have nothing else, and gives columns an axis; so float64 fits
 * float32, and only a declared tensor has a shape to compare.
 *
 * @throws {ServingError} 400 naming the field and what each side says of it.
 */
export function checkAgainstGraph({ inputs }: MlflowParts, graph: readonly Field[]): void {
  const isTensors = Array.isArray(inputs) && inputs.every((input) => tensorSchema.safeParse(input).success)
  for (const declared of fieldsOf(inputs, 'inputs')) {
    const own = graph.find(({ name }) => name === declared.name)
    if (!own) continue
    const fits = dtypeFits(declared.dtype, own.dtype) && (!isTensors || shapeFits(declared.shape, own.shape))
    if (!fits)
      throw badRequest(
        `signature.inputs.${declared.name}: MLmodel declares ${shown(declared)} and the graph takes ${shown(own)}.`,
        `signature.inputs.${declared.name}`,
      )
  }
}

function fieldsOf(schema: unknown, part: string): Field[] {
  if (schema === undefined || schema === null) return []
  const { success, data } = schemaSchema.safeParse(schema)
  if (!success) throw badRequest(`signature.${part}: this is no schema of MLflow.`, `signature.${part}`)
  return data.map((entry, index) => {
    const name = entry.name || String(index)
    const where = `signature.${part}.${name}`
    if ('tensor-spec' in entry) {
      const { dtype, shape } = entry['tensor-spec']
      return { name, dtype: tensorDtype(dtype, where), shape: shape.map((size) => (size < 0 ? '?' : size)) }
    }
    const optional = entry.required === false || entry.optional === true
    return { name, dtype: columnDtype(entry.type, where), shape: ['rows'], ...(optional ? { optional } : {}) }
  })
}

/** Numpy's names are ONNX Runtime's, but for texts, which are `str`, `object` or `<U12` there. */
function tensorDtype(dtype: string, where: string): Field['dtype'] {
  if (Object.hasOwn(dtypes, dtype)) return dtype as Dtype
  if (/^(str|object|[<>|]?U\d*)$/.test(dtype)) return 'string'
  if (/^(bytes|[<>|]?S\d*)$/.test(dtype)) return 'binary'
  throw noForm(where, dtype)
}

const columnDtypes: Readonly<Record<string, Field['dtype']>> = {
  boolean: 'bool',
  integer: 'int32',
  long: 'int64',
  float: 'float32',
  double: 'float64',
  string: 'string',
  datetime: 'string',
  binary: 'binary',
}

function columnDtype(type: string, where: string): Field['dtype'] {
  const dtype = Object.hasOwn(columnDtypes, type) ? columnDtypes[type] : undefined
  if (dtype === undefined) throw noForm(where, type)
  return dtype
}

const paramTypes: Readonly<Record<string, Param['type']>> = {
  boolean: 'boolean',
  integer: 'integer',
  long: 'integer',
  float: 'number',
  double: 'number',
  string: 'string',
  datetime: 'string',
}

function paramsOf(params: unknown): Param[] {
  if (params === undefined || params === null) return []
  const { success, data } = paramsSchema.safeParse(params)
  if (!success) throw badRequest('signature.params: these are no parameters of MLflow.', 'signature.params')
  return data.map(({ name, type, default: value, shape }) => {
    const where = `signature.params.${name}`
    const known = Object.hasOwn(paramTypes, type) ? paramTypes[type] : undefined
    if (known === undefined || shape) throw noForm(where, shape ? `a list of ${type}` : type)
    return { name, type: known, description: value === undefined ? '' : `Default: ${JSON.stringify(value)}.` }
  })
}

function dtypeFits(declared: Field['dtype'], own: Field['dtype']): boolean {
  return declared === own || (declared === 'float64' && own === 'float32')
}

function shapeFits(declared: Field['shape'], own: Field['shape']): boolean {
  return (
    declared.length === own.length &&
    declared.every((size, axis) => typeof size === 'string' || typeof own[axis] === 'string' || size === own[axis])
  )
}

function shown({ dtype, shape }: Field): string {
  return `${dtype}[${shape.join(', ')}]`
}

function noForm(where: string, type: string): ServingError {
  return badRequest(`${where}: glim has no form for ${type}.`, where)
}
