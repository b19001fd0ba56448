/**
 * The fields that a refusal of the host names, in the caller's words. The host knows one form of request and says its fields as
 * chat completions do; whoever sent another form must find what is wrong in his own.
 */
import { isServingError, ServingError } from '#contracts/errors.ts'

/** What leads a field's path in the host's words, and what the caller has in its place. */
export type FieldNames = readonly (readonly [host: string, caller: string])[]

/** The caller's path for the host's: the first of the names that leads it is replaced. */
export function renamed(field: string, names: FieldNames): string {
  const name = names.find(([host]) => field.startsWith(host) && !/^\w/.test(field.slice(host.length)))
  return name ? name[1] + field.slice(name[0].length) : field
}

/** Tools whose schema lies beside their name, not in a `function` with it. */
export function flatTool(field: string, schema: string): string {
  return field.replace(/^(tools\[\d+\])\.function\.parameters/, `$1.${schema}`)
}

/** A refusal with its field, and the message that leads with it, in the caller's words; other errors as they are. */
export function inCallersWords(error: unknown, fieldOf: (field: string) => string): unknown {
  if (!isServingError(error) || error.field === undefined) return error
  const field = fieldOf(error.field)
  const rest = error.message.startsWith(`${error.field}:`) ? error.message.slice(error.field.length) : undefined
  return new ServingError({ ...error.toJSON(), field, message: rest === undefined ? error.message : field + rest })
}
