/**
 * One schema for what two schemas ask together (`allOf`, and keywords beside `anyOf` or `$ref`). Where the meaning of both
 * cannot be written as one schema, the merge is refused.
 */
import { invalidParameter } from '#contracts/errors.ts'
import { pathOf, type SchemaObject, schemaList, schemaMap, shownValue, stringList, typesOf } from './schema-keywords.ts'

/** Both are free of annotations; `path` is where they meet. */
export function mergeSchemas(left: SchemaObject, right: SchemaObject, path: string): SchemaObject {
  const merged: Record<string, unknown> = { ...left }
  for (const [keyword, value] of Object.entries(right)) {
    if (!(keyword in left)) merged[keyword] = value
    else if (!isSame(left[keyword], value)) merged[keyword] = mergeKeyword(keyword, left, right, path)
  }
  checkClosed(left, right, path)
  checkClosed(right, left, path)
  return merged
}

function mergeKeyword(keyword: string, left: SchemaObject, right: SchemaObject, path: string): unknown {
  const [a, b] = [left[keyword], right[keyword]]
  switch (keyword) {
    case 'type': {
      const [first, second] = [typesOf(left, path)!, typesOf(right, path)!]
      const both = [...first].filter((type) => second.has(type) || (type === 'integer' && second.has('number')))
      if (second.has('integer') && first.has('number') && !both.includes('integer')) both.push('integer')
      if (both.length > 0) return both
      throw invalidParameter(pathOf(path, 'type'), `no type fulfils both ${shownValue(a)} and ${shownValue(b)}.`)
    }
    case 'properties':
      return mergeProperties(schemaMap(left, keyword, path), schemaMap(right, keyword, path))
    case 'required':
      return [...new Set([...stringList(left, keyword, path), ...stringList(right, keyword, path)])]
    case 'allOf':
      return [...schemaList(left, keyword, path), ...schemaList(right, keyword, path)]
    case 'items':
    case 'additionalProperties':
      return bothOf(a, b)
    case 'minimum':
    case 'exclusiveMinimum':
    case 'minLength':
    case 'minItems':
      if (typeof a === 'number' && typeof b === 'number') return Math.max(a, b)
      break
    case 'maximum':
    case 'exclusiveMaximum':
    case 'maxLength':
    case 'maxItems':
      if (typeof a === 'number' && typeof b === 'number') return Math.min(a, b)
      break
    case 'enum':
      if (Array.isArray(a) && Array.isArray(b)) return a.filter((value) => b.some((other) => isSame(value, other)))
      break
  }
  throw invalidParameter(
    pathOf(path, keyword),
    `two different values that apply together are not supported: ${shownValue(a)} and ${shownValue(b)}.`,
  )
}

function mergeProperties(left: SchemaObject, right: SchemaObject): SchemaObject {
  const added = Object.entries(right).map(([name, schema]): [string, unknown] => [
    name,
    Object.hasOwn(left, name) ? bothOf(left[name], schema) : schema,
  ])
  // From entries, so that a property named __proto__ stays one.
  return Object.fromEntries([...Object.entries(left), ...added])
}

function bothOf(left: unknown, right: unknown): unknown {
  if (left === true) return right
  if (right === true || isSame(left, right)) return left
  if (left === false || right === false) return false
  return { allOf: [left, right] }
}

/** A closed object refuses what only the other side lists; each side's `additionalProperties` sees its own properties only. */
function checkClosed(closed: SchemaObject, other: SchemaObject, path: string): void {
  const { additionalProperties: additional } = closed
  if (additional === undefined || additional === true) return
  const own = schemaMap(closed, 'properties', path)
  const foreign = Object.keys(schemaMap(other, 'properties', path)).find((name) => !Object.hasOwn(own, name))
  if (foreign === undefined) return
  throw invalidParameter(
    pathOf(path, 'additionalProperties'),
    `is ${shownValue(additional)}, but a schema that applies together with this one has the property ${shownValue(foreign)}; list it in both.`,
  )
}

export function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, sorted(member)])
}
