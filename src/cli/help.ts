/** Help, printed from the table of commands, so that it cannot tell of options that are not there. */
import type { Command, OptionSpec } from './command.ts'
import { exitCodes } from './failure.ts'
import { commonOptions } from './parse-arguments.ts'

/** Known names without a command yet. */
export type Unbuilt = Readonly<Record<string, string>>

export function overview(commands: readonly Command[], unbuilt: Unbuilt): string {
  return [
    'glim: serverless inference. Every endpoint is an isolated worker that costs nothing while nobody calls it.',
    section('Usage', ['glim COMMAND [ARGUMENTS] [--json]', 'npm run -s glim -- COMMAND …   in a checkout']),
    section('Commands', columns(commands.map(({ name, summary }) => [name, summary]))),
    section('Not built yet', columns(Object.entries(unbuilt))),
    section('Environment', columns(environment)),
    section('Exit codes', columns(Object.entries(exitCodes))),
    section('Example', ['npm start', 'npm run -s glim -- endpoints list']),
    'glim COMMAND --help tells more about each.',
  ].join('\n\n')
}

/** Help of a group such as `models`. */
export function groupHelp(group: string, commands: readonly Command[]): string {
  return [
    section('Usage', [`glim ${group} COMMAND`]),
    section('Commands', columns(commands.map(({ name, summary }) => [name, summary]))),
    section('Example', commands[0]!.examples.slice(0, 1)),
    `glim ${group} COMMAND --help tells more about each.`,
  ].join('\n\n')
}

export function commandHelp(command: Command): string {
  const { name, summary, details, examples } = command
  const options: Record<string, OptionSpec> = { ...command.options, ...commonOptions }
  return [
    `glim ${name}: ${summary}.`,
    section('Usage', [`glim ${name}${usageOf(command)}`]),
    ...(command.arguments.length > 0
      ? [section('Arguments', columns(command.arguments.map((argument) => [argument.name, argument.help])))]
      : []),
    section('Options', columns(Object.entries(options).map(([option, spec]) => [flag(option, spec), helpOf(spec)]))),
    ...(details ? [details] : []),
    section(examples.length > 1 ? 'Examples' : 'Example', examples),
    section('Exit codes', columns(Object.entries(exitCodes))),
  ].join('\n\n')
}

const environment: readonly [string, string][] = [
  ['GLIM_HOST', 'where the server listens or is found (127.0.0.1)'],
  ['GLIM_PORT', 'its port (8787)'],
  ['GLIM_HOME', 'folder of all state (.glim in the checkout)'],
  ['GLIM_TOKEN', 'the token; else the one in $GLIM_HOME/token'],
  ['GLIM_HUB_URL', 'where hf: models come from (https://huggingface.co)'],
  ['GLIM_HUB_TOKEN', 'token for its private and gated models; sent there and nowhere else'],
]

function usageOf({ arguments: args, options }: Command): string {
  const required = Object.entries(options).filter(([, { required }]) => required)
  const positional = args.map(({ name, optional }) => (optional ? ` [${name}]` : ` ${name}`)).join('')
  const flags = required.map(([name, spec]) => ` ${flag(name, spec)}`).join('')
  return `${positional}${flags}${Object.keys(options).length > required.length ? ' [OPTIONS]' : ''}`
}

function flag(name: string, { value, multiple }: OptionSpec): string {
  return `--${name}${value ? ` ${value}` : ''}${multiple ? ' …' : ''}`
}

function helpOf({ help, required }: OptionSpec): string {
  return required ? `${help} (required)` : help
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`)
}
