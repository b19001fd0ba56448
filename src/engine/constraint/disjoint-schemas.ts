/** Whether no value can fulfil two schemas, as far as their types and constants tell. */
import { isSame } from './merge-schemas.ts'
import { isSchemaObject, type SchemaObject, schemaMap, stringList, typesOf } from './schema-keywords.ts'

export function areDisjoint(left: SchemaObject, right: SchemaObject, path: string): boolean {
  const [leftValues, rightValues] = [valuesOf(left), valuesOf(right)]
  if (leftValues && rightValues) return !leftValues.some((value) => rightValues.some((other) => isSame(value, other)))
  const [leftTypes, rightTypes] = [namedTypes(left, path), namedTypes(right, path)]
  if (!leftTypes || !rightTypes) return false
  const shared = [...leftTypes].filter((type) => rightTypes.has(type))
  if (shared.length === 0) return true
  return shared.every((type) => type === 'object') && tellsApart(left, right, path)
}

/** A property that both require, with different constants. */
function tellsApart(left: SchemaObject, right: SchemaObject, path: string): boolean {
  const [leftProperties, rightProperties] = [schemaMap(left, 'properties', path), schemaMap(right, 'properties', path)]
  const required = new Set(stringList(right, 'required', path))
  return stringList(left, 'required', path).some((name) => {
    const [a, b] = [leftProperties[name], rightProperties[name]]
    if (!required.has(name) || !isSchemaObject(a) || !isSchemaObject(b)) return false
    const [first, second] = [valuesOf(a), valuesOf(b)]
    return first !== null && second !== null && !first.some((value) => second.some((other) => isSame(value, other)))
  })
}

function valuesOf(schema: SchemaObject): readonly unknown[] | null {
  if ('const' in schema) return [schema.const]
  return Array.isArray(schema.enum) ? schema.enum : null
}

/** Integers are numbers here, since they share values. */
function namedTypes(schema: SchemaObject, path: string): ReadonlySet<string> | null {
  if (schema.type === undefined) return null
  return new Set([...typesOf(schema, path)!].map((type) => (type === 'integer' ? 'number' : type)))
}
