/**
 * Arguments to values by a command's own table. `node:util`'s parser splits them; the refusals are ours, because they must
 * say what was near and what is there.
 */
import { parseArgs } from 'node:util'
import type { Command, OptionSpec } from './command.ts'
import { usage } from './failure.ts'
import { didYouMean } from './nearest.ts'

/** Options that every command has. */
export const commonOptions = {
  json: { type: 'boolean', help: 'print the result as JSON, and errors as {"error_code", "message"} on stderr' },
  help: { type: 'boolean', help: 'print this help' },
} as const satisfies Record<string, OptionSpec>

export interface ParsedArguments {
  args: readonly string[]
  values: Record<string, string | boolean | readonly string[] | undefined>
}

/** @throws {Failure} 2 that names the argument at fault. */
export function parseArguments(
  command: Pick<Command, 'name' | 'arguments' | 'options'>,
  argv: readonly string[],
): ParsedArguments {
  const specs: Record<string, OptionSpec> = { ...command.options, ...commonOptions }
  const help = `See: glim ${command.name} --help`
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      ...Object.fromEntries(Object.entries(specs).map(([name, { type }]) => [name, { type }])),
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
    strict: false,
    tokens: true,
  })

  const values: ParsedArguments['values'] = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, emptyOf(spec)]),
  )
  const args: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value)
    if (token.kind !== 'option') continue
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name]! : undefined
    if (!spec)
      throw usage(`Unknown option ${token.rawName}.${didYouMean(token.name, Object.keys(specs), '--')} ${help}`)
    values[token.name] = valueFrom(token, spec, values[token.name])
  }

  if (values.help === true) return { args, values }
  const missing = Object.entries(specs).find(([name, { required }]) => required && values[name] === undefined)
  if (missing) throw usage(`--${missing[0]} ${missing[1].value} is missing: ${missing[1].help}. ${help}`)
  checkCount(command, args, help)
  return { args, values }
}

function emptyOf({ type, multiple }: OptionSpec) {
  if (type === 'boolean') return false
  return multiple ? [] : undefined
}

function valueFrom(
  { rawName, value, inlineValue }: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  { type, multiple, value: placeholder }: OptionSpec,
  before: ParsedArguments['values'][string],
) {
  if (type === 'boolean') {
    if (value !== undefined) throw usage(`${rawName} takes no value, and "${value}" came.`)
    return true
  }
  // `--name --version 2` forgot the name; a value that really begins so is written --name=--value.
  if (value === undefined || value === '' || (!inlineValue && value.startsWith('--')))
    throw usage(`${rawName} needs a value: ${rawName} ${placeholder}`)
  if (multiple) return [...(before as readonly string[]), value]
  if (before !== undefined) throw usage(`${rawName} is given twice: "${before}" and "${value}".`)
  return value
}

function checkCount(command: Pick<Command, 'arguments'>, args: readonly string[], help: string): void {
  const missing = command.arguments.find((argument, index) => !argument.optional && args[index] === undefined)
  if (missing) throw usage(`${missing.name} is missing: ${missing.help}. ${help}`)
  const extra = args[command.arguments.length]
  if (extra !== undefined) throw usage(`"${extra}" is one argument too many. ${help}`)
}

/** A whole number within bounds, or undefined where none was given. @throws {Failure} 2 */
export function integerOption(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw usage(`${name} must be a whole number from ${least} to ${most}, and "${text}" came.`)
}
