/**
 * Running a chat template. Templates are programs that come with models, so they run in an interpreter of their own language
 * (Jinja) that reaches nothing but what it is given, and within bounds: of source, of steps, of the length of any text they make.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { badRequest, invalidParameter, isServingError, type ServingError } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'

/** The library's own declarations do not resolve under this project's module settings; this is what is used of it. */
interface Scope {
  set(name: string, value: unknown): unknown
}
interface Value {
  readonly value: unknown
}
type Statement = { readonly type: string; readonly body?: unknown } | undefined
interface Evaluator {
  run(program: Program): Value
  evaluate(statement: Statement, scope: Scope): Value
}
const OpenScope: new () => Scope = Environment
const UnboundedInterpreter: new (scope: Scope) => Evaluator = Interpreter

/** A template that has been read. */
export type Program = Readonly<Record<string, unknown>>

/** The longest templates of public models have about 20,000 characters. */
const mostSource = 256 * 1024
/** Evaluated nodes. A conversation of 1,000 messages in ChatML takes 20,000; this many take about a second. */
const mostSteps = 500_000
const mostItems = 100_000

/** @throws {ServingError} 400 where the text is no template or too long. Final. */
export function parseTemplate(source: string): Program {
  if (source.length > mostSource)
    throw badRequest(`The model's chat template has ${source.length} characters; at most ${mostSource} are accepted.`)
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }))
  } catch (error) {
    throw failed('cannot be read', error)
  }
}

type Variables = Readonly<Record<string, unknown>>

/**
 * @param given Variables of the request, beside those that templates expect.
 * @throws {ServingError} 400 with the template's own message where it refuses the conversation, fails or exceeds a bound,
 * and where `given` has a name that is taken. Final.
 */
export function runTemplate(
  program: Program,
  { values, given = {}, now }: { values: Variables; given?: Variables; now: Date },
): string {
  const scope = new OpenScope()
  const strftime_now = (format: unknown) => strftime(now, format)
  const constants = { false: false, true: true, none: null, False: false, True: true, None: null }
  const own = { ...constants, range, raise_exception, strftime_now, ...values }
  for (const name of Object.keys(given))
    if (Object.hasOwn(own, name) || name === 'namespace')
      throw invalidParameter(`chat_template_kwargs.${name}`, 'is a name that has its value already; leave it out.')
  try {
    for (const [name, value] of Object.entries({ ...given, ...own })) scope.set(name, value)
    return String(new BoundedInterpreter(scope).run(program).value)
  } catch (error) {
    throw isServingError(error) ? error : failed('failed', error)
  }
}

/**
 * An endless loop cannot be interrupted from outside of an isolate, so steps are counted; long lists and texts count for more, since
 * filters go through all of them in one step.
 */
class BoundedInterpreter extends UnboundedInterpreter {
  #steps = 0

  override evaluate(statement: Statement, scope: Scope): Value {
    // A round of a loop without a body would be no step at all.
    if (statement?.type === 'For' && Array.isArray(statement.body) && statement.body.length === 0)
      statement.body.push({ type: 'Comment' })
    const value = super.evaluate(statement, scope)
    this.#steps += 1 + costOf(value.value)
    if (this.#steps > mostSteps) throw badRequest(`The model's chat template took more than ${mostSteps} steps.`)
    return value
  }
}

/** Steps beyond the one that every evaluation is. */
function costOf(value: unknown): number {
  if (typeof value === 'string') {
    if (value.length > limits.textCharacters)
      throw badRequest(
        `The conversation became a prompt of more than ${limits.textCharacters} characters in the model's chat template.`,
      )
    return value.length >> 12
  }
  if (!Array.isArray(value)) return 0
  if (value.length > mostItems) throw badRequest(`The model's chat template makes a list of ${value.length} items.`)
  return value.length >> 8
}

function raise_exception(message: unknown): never {
  throw badRequest(`The model's chat template refuses this conversation: ${message}`)
}

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  const count = Math.max(Math.ceil((stop - start) / step), 0)
  if (!(count <= mostItems)) throw badRequest(`The model's chat template asks for a range of ${count} numbers.`)
  return Array.from({ length: count }, (_, index) => start + index * step)
}

/** Python's `strftime` as far as templates use it, in UTC and English. */
function strftime(now: Date, format: unknown): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const named = (options: Intl.DateTimeFormatOptions) =>
    now.toLocaleDateString('en-US', { ...options, timeZone: 'UTC' })
  const parts: Record<string, () => string> = {
    Y: () => String(now.getUTCFullYear()),
    y: () => two(now.getUTCFullYear() % 100),
    m: () => two(now.getUTCMonth() + 1),
    d: () => two(now.getUTCDate()),
    H: () => two(now.getUTCHours()),
    M: () => two(now.getUTCMinutes()),
    S: () => two(now.getUTCSeconds()),
    b: () => named({ month: 'short' }),
    B: () => named({ month: 'long' }),
    a: () => named({ weekday: 'short' }),
    A: () => named({ weekday: 'long' }),
    '%': () => '%',
  }
  return String(format).replace(/%([A-Za-z%])/g, (whole, letter: string) => parts[letter]?.() ?? whole)
}

function failed(what: string, error: unknown): ServingError {
  return badRequest(`The model's chat template ${what}: ${error instanceof Error ? error.message : error}`)
}
