/** What a command is: data that `main.ts` looks up, `help.ts` prints and `parse-arguments.ts` checks, and one function. */
import type { GlimClient } from '#src/client/client.ts'
import type { Terminal } from './terminal.ts'

export interface OptionSpec {
  type: 'string' | 'boolean'
  help: string
  /** What stands for the value in help: `NAME`. */
  value?: string
  /** May be given several times; the values come as a list. */
  multiple?: boolean
  required?: boolean
}

export interface ArgumentSpec {
  name: string
  help: string
  optional?: boolean
}

/** The values as `run` gets them: a list for `multiple`, never undefined for `required`, and booleans always. */
export type ValuesOf<Options extends Record<string, OptionSpec>> = {
  [Name in keyof Options]: Options[Name] extends { type: 'boolean' }
    ? boolean
    : Options[Name] extends { multiple: true }
      ? readonly string[]
      : Options[Name] extends { required: true }
        ? string
        : string | undefined
}

/** What a command may use of the world. */
export interface Surroundings {
  terminal: Terminal
  /** Resolves a path as the caller meant it, against the folder in which the command was typed. */
  locate(path: string): string
  /** The server that the environment names; nothing is sent before a method is called. */
  client(): GlimClient
  env: Readonly<Record<string, string | undefined>>
}

export interface Call<Values> extends Surroundings {
  /** Positional arguments; those not optional are there. */
  args: readonly string[]
  values: Values & { json: boolean }
}

/** `value` is printed with `--json`, `text` without; a command that printed all itself resolves to null. */
export type Result = { value: unknown; text: string } | null

/** JSON that is printed as it came. */
export class Verbatim {
  readonly json: string

  constructor(json: string) {
    this.json = json
  }
}

export interface Command<Options extends Record<string, OptionSpec> = Record<string, OptionSpec>> {
  /** One word, or a group and a word. */
  name: string
  summary: string
  /** Paragraphs below the options. */
  details?: string
  arguments: readonly ArgumentSpec[]
  options: Options
  examples: readonly string[]
  run(call: Call<ValuesOf<Options>>): Promise<Result>
}

/** Types `run` by the options beside it; the table then holds commands of all shapes. */
export function defineCommand<const Options extends Record<string, OptionSpec>>(command: Command<Options>): Command {
  return command as unknown as Command
}
