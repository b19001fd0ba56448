/**
 * The one way in which a body from outside becomes a typed value. A refusal names the field, what came and what was
 * expected, because "Invalid input" costs its reader an hour; only the first problem is told, the one to mend first.
 */
import type * as z from 'zod'
import { invalidParameter } from './errors.ts'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/**
 * Returns the value as the schema gives it back.
 *
 * @param where path of `value` within the request, when it is not the whole body.
 * @throws {ServingError} 400 naming the field at fault; final.
 */
export function parseBody<T>(schema: z.ZodType<T>, value: unknown, where = ''): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const { path, problem } = problemOf(result.error.issues[0]!, value)
  throw invalidParameter(fieldPath(path, where) || 'body', problem)
}

/** `config.routes[2].name`; the notation of every `field` in an error. */
export function fieldPath(path: Path, where = ''): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, where)
}

/** A value as an error shows it: scalars in full while they are short, the rest by kind. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

function problemOf(issue: Issue, root: unknown): { path: Path; problem: string } {
  const { path } = issue
  const came = valueAt(root, path)
  if (issue.code === 'invalid_union') {
    const nearest = nearestBranch(issue.errors)
    if (nearest) return problemOf({ ...nearest, path: [...path, ...nearest.path] } as Issue, root)
    const expected = expectedByAll(issue.errors)
    // A union told apart by a field has no alternatives to name; its own message does.
    return { path, problem: expected === '' ? plainProblem(issue, came) : mismatch(expected, came) }
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
    const [inner] = issue.issues
    return { path, problem: inner ? `${shown(path.at(-1))} is not allowed as a name: ${inner.message}` : issue.message }
  }
  return { path, problem: plainProblem(issue, came) }
}

function plainProblem(issue: Issue, came: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return mismatch(article(issue.expected), came)
    case 'invalid_value':
      return mismatch(oneOf(issue.values.map(shown)), came)
    case 'unrecognized_keys':
      return `unknown field ${issue.keys.map(shown).join(', ')}`
    case 'too_small':
      return outOfBounds('at least', Number(issue.minimum), came)
    case 'too_big':
      return outOfBounds('at most', Number(issue.maximum), came)
    default:
      // Our own refinements say "expected …" and leave it to this place to say what came.
      return issue.message.startsWith('expected')
        ? mismatch(issue.message.slice('expected '.length), came)
        : issue.message
  }
}

function mismatch(expected: string, came: unknown): string {
  return came === undefined ? `is missing; expected ${expected}` : `expected ${expected}, ${shown(came)} came`
}

function outOfBounds(bound: 'at least' | 'at most', limit: number, came: unknown): string {
  if (typeof came === 'string') return `expected ${bound} ${limit} characters, ${came.length} came`
  if (Array.isArray(came)) return `expected ${bound} ${limit} entries, ${came.length} came`
  return mismatch(`${bound} ${limit}`, came)
}

/** Of a union, the alternative that fitted so far that its own problem is the helpful one; none if all failed at the door. */
function nearestBranch(branches: readonly (readonly Issue[])[]): Issue | undefined {
  return branches
    .flatMap(([first]) => (first && !isDoor(first) ? [first] : []))
    .sort((left, right) => right.path.length - left.path.length)[0]
}

function expectedByAll(branches: readonly (readonly Issue[])[]): string {
  const kinds = branches.flatMap(([first]) => (first?.code === 'invalid_type' ? [article(first.expected)] : []))
  return oneOf([...new Set(kinds)])
}

function isDoor(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

function oneOf(choices: readonly string[]): string {
  if (choices.length < 2) return choices.join('')
  return `${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
}

function article(kind: string): string {
  return kinds[kind] ?? kind
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    return (value as Record<PropertyKey, unknown>)[part]
  }, root)
}
