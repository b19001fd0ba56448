import type { Expression } from './expression.ts'
import type { JsonRules } from './json-rules.ts'

/** What the keywords of one type need of the rest: the values of the schemas that they hold. */
export interface SchemaContext {
  readonly rules: JsonRules
  /** A rule for a schema; the same for the same schema. Its body is built later, so schemas may hold themselves. */
  rule(schema: unknown, path: string): number
  /** The values of a schema, for use in one place. */
  expression(schema: unknown, path: string): Expression
}
