/** What a reply must look like, in the words of OpenAI (`response_format`, `text.format`) and of local servers (`guided_json`, …). */
import * as z from 'zod'
import { invalidParameter } from '#contracts/errors.ts'
import { type Constraint, constraintFields } from '#contracts/generation.ts'
import { limits } from '#contracts/limits.ts'
import { shown } from '#contracts/parse.ts'
import { isRecord } from '../enforce-schema.ts'
import type { FieldNames } from './field-names.ts'
import { refuseFields } from './generation-fields.ts'

const patternField = z.string().min(1).max(limits.constraintCharacters).nullish()
const choiceField = z.array(z.string().min(1)).min(1).max(1_024).nullish()

/** vLLM's names. */
export const guidedFields = {
  guided_json: z.unknown().optional(),
  guided_regex: patternField,
  guided_choice: choiceField,
  structured_outputs: z
    .object({
      json: z.unknown().optional(),
      regex: patternField,
      choice: choiceField,
      json_object: z.boolean().nullish(),
      grammar: z.unknown().optional(),
      structural_tag: z.unknown().optional(),
    })
    .nullish(),
}

const named = {
  name: z.string().min(1).max(128).nullish(),
  description: z.string().nullish(),
  strict: z.boolean().nullish(),
}

/** Chat completions: the schema lies under `json_schema`. */
export const responseFormatField = z
  .discriminatedUnion(
    'type',
    [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({ type: z.literal('json_schema'), json_schema: z.object({ ...named, schema: z.unknown().optional() }) }),
    ],
    'expected "text", "json_object" or "json_schema"',
  )
  .nullish()

/** Responses: the schema lies beside the type. */
export const textFormatField = z
  .discriminatedUnion(
    'type',
    [
      z.object({ type: z.literal('text') }),
      z.object({ type: z.literal('json_object') }),
      z.object({ type: z.literal('json_schema'), ...named, schema: z.unknown().optional() }),
    ],
    'expected "text", "json_object" or "json_schema"',
  )
  .nullish()

export interface GuidedBody extends z.infer<z.ZodObject<typeof guidedFields>> {
  response_format?: z.infer<typeof responseFormatField>
}

export interface GivenConstraint {
  constraint: Constraint | null
  /** Where it lies in the body. */
  names: FieldNames
}

/** @throws {ServingError} 400 for two constraints at once, or a schema that is none. */
export function constraintOf(body: GuidedBody): GivenConstraint {
  const { structured_outputs: structured, response_format: format } = body
  refuseFields(structured ?? {}, refusedGrammars, 'structured_outputs.')
  const given: readonly [field: string, constraint: Constraint | null][] = [
    ['response_format', format?.type === 'json_object' ? json : null],
    [schemaField, format?.type === 'json_schema' ? schemaConstraint(format.json_schema.schema, schemaField) : null],
    ['guided_json', optionalSchema(body.guided_json, 'guided_json')],
    ['guided_regex', regexConstraint(body.guided_regex)],
    ['guided_choice', choiceConstraint(body.guided_choice)],
    ['structured_outputs.json', optionalSchema(structured?.json, 'structured_outputs.json')],
    ['structured_outputs.regex', regexConstraint(structured?.regex)],
    ['structured_outputs.choice', choiceConstraint(structured?.choice)],
    ['structured_outputs.json_object', structured?.json_object === true ? json : null],
  ]
  const found = given.flatMap(([field, constraint]) => (constraint ? [{ field, constraint }] : []))
  if (found.length > 1)
    throw invalidParameter(
      'response_format',
      'the reply can follow one constraint only; give one of response_format, guided_json, guided_regex, guided_choice and structured_outputs.',
    )
  const [only] = found
  if (!only) return { constraint: null, names: [] }
  return { constraint: only.constraint, names: [[constraintFields[only.constraint.kind], only.field]] }
}

/** The constraint of Responses' `text.format`. */
export function textFormatConstraint(format: z.infer<typeof textFormatField>): Constraint | null {
  if (format?.type === 'json_object') return json
  return format?.type === 'json_schema' ? schemaConstraint(format.schema, 'text.format.schema') : null
}

/** @throws {ServingError} 400 for what cannot be a JSON Schema or is too long. */
export function schemaConstraint(given: unknown, field: string): Constraint {
  const schema = typeof given === 'string' ? parsed(given, field) : given
  if (!isRecord(schema) && typeof schema !== 'boolean')
    throw invalidParameter(field, `expected a JSON Schema (an object), ${shown(schema)} came`)
  checkSize(schema, field)
  return { kind: 'json-schema', schema }
}

/** @throws {ServingError} 400 for a schema with more characters than a grammar may have. */
export function checkSize(schema: unknown, field: string): void {
  const characters = JSON.stringify(schema).length
  if (characters > limits.constraintCharacters)
    throw invalidParameter(field, `${characters} characters are more than the ${limits.constraintCharacters} allowed`)
}

const refusedGrammars: Readonly<Record<string, string>> = {
  grammar: 'is not supported; use json, regex or choice.',
  structural_tag: 'is not supported; use json, regex or choice.',
}

const json: Constraint = { kind: 'json' }

const schemaField = constraintFields['json-schema']

function regexConstraint(pattern: string | null | undefined): Constraint | null {
  return pattern === undefined || pattern === null ? null : { kind: 'regex', pattern }
}

function choiceConstraint(choices: readonly string[] | null | undefined): Constraint | null {
  return choices === undefined || choices === null ? null : { kind: 'choice', choices }
}

function optionalSchema(schema: unknown, field: string): Constraint | null {
  return schema === undefined || schema === null ? null : schemaConstraint(schema, field)
}

function parsed(text: string, field: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidParameter(field, `expected JSON text: ${(error as Error).message}`)
  }
}
