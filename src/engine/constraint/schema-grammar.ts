/**
 * JSON Schemas as rules of a grammar. Every text of the grammar fulfils the schema; where the schema admits spellings or values
 * that a model has no use for (unlisted properties of an object that lists some, unless it asks for them), the grammar is narrower.
 */
import { invalidParameter } from '#contracts/errors.ts'
import { arrayExpression } from './array-schema.ts'
import { areDisjoint } from './disjoint-schemas.ts'
import { call, type Expression, either, text } from './expression.ts'
import type { JsonRules } from './json-rules.ts'
import { mergeSchemas } from './merge-schemas.ts'
import { numberExpression } from './number-schema.ts'
import { objectBody } from './object-schema.ts'
import type { SchemaContext } from './schema-context.ts'
import {
  isSchemaObject,
  type JsonType,
  jsonTypes,
  knownKeywords,
  pathOf,
  type SchemaObject,
  schemaList,
  shownValue,
  typesOf,
} from './schema-keywords.ts'
import { stringExpression } from './string-schema.ts'

/** References and merges that lead to the next without a value between them. */
const mostResolutions = 64

export class SchemaGrammar implements SchemaContext {
  readonly rules: JsonRules
  readonly #root: unknown
  readonly #field: string
  readonly #known = new Map<unknown, number>()
  #resolutions = 0

  /** `field` is where the schema came from; errors name a path below it. */
  constructor(rules: JsonRules, root: unknown, field: string) {
    this.rules = rules
    this.#root = root
    this.#field = field
  }

  /** The rule of the whole schema. */
  rootRule(): number {
    return this.rule(this.#root, this.#field)
  }

  /** A rule of its own for a schema; one rule for the same schema however often it is asked for. */
  rule(schema: unknown, path: string): number {
    const known = this.#known.get(schema)
    if (known !== undefined) return known
    const rule = this.rules.grammar.expressionRule(() => this.expression(schema, path), path)
    if (typeof schema === 'object') this.#known.set(schema, rule)
    return rule
  }

  /** The values of a schema, for use inside another rule. */
  expression(schema: unknown, path: string): Expression {
    if (schema === true) return this.rules.value
    if (schema === false) throw invalidParameter(path, 'false admits no value.')
    if (!isSchemaObject(schema)) throw invalidParameter(path, `expected a JSON Schema; ${shownValue(schema)} came.`)
    const keywords = this.#keywords(schema, path)
    const names = Object.keys(keywords)
    if (names.length === 1 && names[0] === '$ref') {
      const target = this.#resolve(keywords.$ref, path)
      return call(this.rule(target.schema, target.path))
    }
    if (++this.#resolutions > mostResolutions)
      throw invalidParameter(
        path,
        `more than ${mostResolutions} references or merges lead on without a value between them.`,
      )
    const expression = this.#merged(keywords, path)
    this.#resolutions--
    return expression
  }

  #merged(keywords: SchemaObject, path: string): Expression {
    const { $ref, ...beside } = keywords
    if ($ref !== undefined) {
      const target = this.#resolve($ref, path)
      return this.expression(this.#both(beside, target.schema, target.path, path), path)
    }
    const { allOf, anyOf, oneOf, ...rest } = beside
    if (allOf !== undefined) {
      const parts = schemaList(keywords, 'allOf', path)
      const { allOf: _, ...own } = beside
      const merged = parts.reduce<SchemaObject>(
        (both, part, index) => this.#both(both, part, pathOf(pathOf(path, 'allOf'), index), path),
        own,
      )
      return this.expression(merged, path)
    }
    if (anyOf !== undefined && oneOf !== undefined)
      throw invalidParameter(pathOf(path, 'oneOf'), 'is not supported beside anyOf.')
    if (anyOf !== undefined) return this.#branches(keywords, 'anyOf', rest, path)
    if (oneOf !== undefined) return this.#branches(keywords, 'oneOf', rest, path)
    if ('enum' in rest || 'const' in rest) return this.#listed(rest, path)
    return this.#typed(rest, path)
  }

  #branches(keywords: SchemaObject, keyword: 'anyOf' | 'oneOf', rest: SchemaObject, path: string): Expression {
    const branches = schemaList(keywords, keyword, path)
    const at = (index: number) => pathOf(pathOf(path, keyword), index)
    if (keyword === 'oneOf') this.#checkDisjoint(branches, path)
    const isPlain = Object.keys(rest).length === 0
    return either(
      branches.map((branch, index) =>
        this.expression(isPlain ? branch : this.#both(rest, branch, at(index), path), at(index)),
      ),
    )
  }

  /** Exactly one of several schemas is any of them, if no value fulfils two. */
  #checkDisjoint(branches: readonly unknown[], path: string): void {
    const at = (index: number) => pathOf(pathOf(path, 'oneOf'), index)
    const resolved = branches.map((branch, index) => this.#both({}, branch, at(index), at(index)))
    for (const [index, branch] of resolved.entries()) {
      const other = resolved.findIndex((later, place) => place > index && !areDisjoint(branch, later, at(index)))
      if (other < 0) continue
      throw invalidParameter(
        pathOf(path, 'oneOf'),
        `is supported where a type or a required property with const or enum tells the schemas apart; ${index} and ${other} may overlap. Use anyOf.`,
      )
    }
  }

  /** Merges a schema into others' keywords, its reference resolved. */
  #both(left: SchemaObject, right: unknown, rightPath: string, path: string): SchemaObject {
    if (right === true) return left
    if (!isSchemaObject(right))
      throw invalidParameter(rightPath, `expected a JSON Schema object here; ${shownValue(right)} came.`)
    const keywords = this.#keywords(right, rightPath)
    if (keywords.$ref === undefined) return mergeSchemas(left, keywords, path)
    if (++this.#resolutions > mostResolutions)
      throw invalidParameter(
        rightPath,
        `more than ${mostResolutions} references or merges lead on without a value between them.`,
      )
    const { $ref, ...beside } = keywords
    const target = this.#resolve($ref, rightPath)
    const merged = this.#both(mergeSchemas(left, beside, path), target.schema, target.path, path)
    this.#resolutions--
    return merged
  }

  #listed(keywords: SchemaObject, path: string): Expression {
    const other = Object.keys(keywords).find((keyword) => !['enum', 'const', 'type'].includes(keyword))
    if (other !== undefined) throw invalidParameter(pathOf(path, other), 'is not supported beside enum or const.')
    const types = typesOf(keywords, path)
    let values = 'enum' in keywords ? schemaList(keywords, 'enum', path) : [keywords.const]
    if ('enum' in keywords && 'const' in keywords) {
      const only = this.rules.literal(keywords.const)
      values = values.filter((value) => this.rules.literal(value) === only)
    }
    const fitting = types ? values.filter((value) => [...types].some((type) => isOfType(value, type))) : values
    if (fitting.length === 0)
      throw invalidParameter(path, `none of its listed values has the type ${shownValue(keywords.type)}.`)
    return either(fitting.map((value) => text(this.rules.literal(value))))
  }

  #typed(keywords: SchemaObject, path: string): Expression {
    const types = typesOf(keywords, path)
    if (!types) return this.rules.value
    // A number may be an integer, so the integer's own rule would only repeat it.
    const distinct = jsonTypes.filter((type) => types.has(type) && !(type === 'integer' && types.has('number')))
    return either(distinct.map((type) => this.#ofType(type, keywords, path)))
  }

  #ofType(type: JsonType, keywords: SchemaObject, path: string): Expression {
    switch (type) {
      case 'object':
        return call(this.rules.grammar.rule(objectBody(this, keywords, path), path))
      case 'array':
        return call(this.rules.grammar.expressionRule(() => arrayExpression(this, keywords, path), path))
      case 'string':
        return stringExpression(this.rules, keywords, path)
      case 'number':
      case 'integer':
        return numberExpression(this.rules, type, keywords, path)
      case 'boolean':
        return this.rules.boolean
      case 'null':
        return text('null')
    }
  }

  #keywords(schema: SchemaObject, path: string): SchemaObject {
    return knownKeywords(schema, path, schema === this.#root)
  }

  #resolve(reference: unknown, path: string): { schema: unknown; path: string } {
    const at = pathOf(path, '$ref')
    if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference))
      throw invalidParameter(at, `expected a reference within the schema (#/$defs/…); ${shownValue(reference)} came.`)
    let found = { schema: this.#root, path: this.#field }
    for (const part of reference.split('/').slice(1)) {
      const key = pointerKey(part, at)
      const { schema } = found
      const isFound = typeof schema === 'object' && schema !== null && Object.hasOwn(schema, key)
      if (!isFound) throw invalidParameter(at, `${shownValue(reference)} leads nowhere in the schema.`)
      const place = Array.isArray(schema) ? pathOf(found.path, Number(key)) : pathOf(found.path, key)
      found = { schema: Reflect.get(schema, key), path: place }
    }
    return found
  }
}

function pointerKey(part: string, path: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    throw invalidParameter(path, `has the malformed escape ${shownValue(part)}.`)
  }
}

function isOfType(value: unknown, type: JsonType): boolean {
  switch (type) {
    case 'object':
      return isSchemaObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    default:
      return typeof value === type
  }
}
