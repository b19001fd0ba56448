/** The part of JSON Schema that is understood, and the precise refusal of the rest: a keyword is never silently left out. */
import { invalidParameter } from '#contracts/errors.ts'

export type SchemaObject = Readonly<Record<string, unknown>>

export const jsonTypes = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
export type JsonType = (typeof jsonTypes)[number]

/** Say something about the schema or the value's meaning, not about which values are valid. */
const annotations = new Set([
  '$schema',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'example',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentMediaType',
  'contentEncoding',
  'contentSchema',
  'discriminator',
])

export const keywordsOf = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
} as const
const assertions = new Set<string>(Object.values(keywordsOf).flat())
const structure = new Set(['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref'])

const hints: Readonly<Record<string, string>> = {
  $id: 'is possible at the root only; references are resolved within one document',
  additionalItems: 'is not supported; use prefixItems and items',
  nullable: 'is not JSON Schema; use a type list with "null"',
  format: 'is not supported',
}

/** The schema's assertions without its annotations. */
export function knownKeywords(schema: SchemaObject, path: string, isRoot: boolean): SchemaObject {
  const kept: [string, unknown][] = []
  for (const [keyword, value] of Object.entries(schema)) {
    if (annotations.has(keyword) || keyword.startsWith('x-') || (keyword === '$id' && isRoot)) continue
    if (!assertions.has(keyword) && !structure.has(keyword))
      throw invalidParameter(
        pathOf(path, keyword),
        Object.hasOwn(hints, keyword) ? `${hints[keyword]}.` : 'this keyword is not supported.',
      )
    kept.push([keyword, value])
  }
  return Object.fromEntries(kept)
}

export function isSchemaObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function pathOf(path: string, key: string | number): string {
  return typeof key === 'number' ? `${path}[${key}]` : `${path}.${key}`
}

export function schemaList(schema: SchemaObject, keyword: string, path: string): readonly unknown[] {
  const value = schema[keyword]
  if (!Array.isArray(value) || value.length === 0)
    throw invalidParameter(pathOf(path, keyword), `expected a list of at least one entry; ${shownValue(value)} came.`)
  return value
}

export function schemaMap(schema: SchemaObject, keyword: string, path: string): SchemaObject {
  const value = schema[keyword] ?? {}
  if (!isSchemaObject(value))
    throw invalidParameter(pathOf(path, keyword), `expected an object; ${shownValue(value)} came.`)
  return value
}

export function stringList(schema: SchemaObject, keyword: string, path: string): readonly string[] {
  const value = schema[keyword] ?? []
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string'))
    throw invalidParameter(pathOf(path, keyword), `expected a list of strings; ${shownValue(value)} came.`)
  return value
}

/** A keyword whose value counts something. */
export function countKeyword(schema: SchemaObject, keyword: string, path: string): number | null {
  const value = numberKeyword(schema, keyword, path)
  if (value === null || (Number.isSafeInteger(value) && value >= 0)) return value
  throw invalidParameter(pathOf(path, keyword), `expected a whole number of at least 0; ${value} came.`)
}

export function numberKeyword(schema: SchemaObject, keyword: string, path: string): number | null {
  const value = schema[keyword]
  if (value === undefined) return null
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw invalidParameter(pathOf(path, keyword), `expected a number; ${shownValue(value)} came.`)
}

/** The types a schema allows: those it names, else those that its keywords speak about, else null for any. */
export function typesOf(schema: SchemaObject, path: string): ReadonlySet<JsonType> | null {
  if (schema.type === undefined) {
    const implied = Object.entries(keywordsOf).filter(([, keywords]) => keywords.some((keyword) => keyword in schema))
    return implied.length === 0 ? null : new Set(implied.map(([type]) => type as JsonType))
  }
  const listed: readonly unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type]
  for (const type of listed) {
    if (!jsonTypes.includes(type as JsonType))
      throw invalidParameter(
        pathOf(path, 'type'),
        `expected ${jsonTypes.join(', ')} or a list of these; ${shownValue(type)} came.`,
      )
  }
  return new Set(listed as JsonType[])
}

export function shownValue(value: unknown): string {
  const written = JSON.stringify(value) ?? 'nothing'
  return written.length > 80 ? `${written.slice(0, 80)}…` : written
}
