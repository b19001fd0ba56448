/** From arguments to exit code: find the command, check its arguments, run it, print what came of it. */
import { type Command, type Surroundings, Verbatim } from './command.ts'
import { commands, unbuilt } from './commands.ts'
import { type ExitCode, Failure, failureFrom, usage } from './failure.ts'
import { commandHelp, groupHelp, overview } from './help.ts'
import { didYouMean } from './nearest.ts'
import { parseArguments } from './parse-arguments.ts'

/** Resolves to the exit code; everything that goes wrong has been told on stderr. */
export async function runCommand(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const { terminal } = surroundings
  try {
    await run(argv, surroundings)
    return 0
  } catch (error) {
    const failure = failureFrom(error)
    terminal.progress(null)
    terminal.note(
      wantsJson(argv)
        ? JSON.stringify({ error_code: failure.code, message: failure.message })
        : `glim: ${failure.message}`,
    )
    return failure.exitCode
  }
}

async function run(argv: readonly string[], surroundings: Surroundings): Promise<void> {
  const { terminal } = surroundings
  const [first, second] = argv
  if (first === undefined) throw usage(`Which command?\n\n${overview(commands, unbuilt)}`)
  if (first === '--help' || first === '-h') return terminal.print(overview(commands, unbuilt))
  if (first === 'help') return run([...argv.slice(1), '--help'], surroundings)

  const group = commands.filter(({ name }) => name.startsWith(`${first} `))
  if (group.length > 0 && (second === '--help' || second === '-h')) return terminal.print(groupHelp(first, group))

  const command = commandFor(argv, group)
  const { args, values } = parseArguments(command, argv.slice(command.name.split(' ').length))
  if (values.help === true) return terminal.print(commandHelp(command))
  const result = await command.run({ ...surroundings, args, values: values as never })
  if (result === null) return
  terminal.print(values.json === true ? jsonOf(result.value) : result.text)
}

/** @throws {Failure} 2 with what was near. */
function commandFor([first = '', second]: readonly string[], group: readonly Command[]): Command {
  if (group.length > 0) {
    const words = group.map(({ name }) => name.split(' ')[1]!)
    const found = group.find(({ name }) => name === `${first} ${second}`)
    if (found) return found
    if (second === undefined || second.startsWith('-'))
      throw usage(`glim ${first} needs one of: ${words.join(', ')}. See: glim ${first} --help`)
    throw usage(
      `There is no command glim ${first} ${second}; there is ${words.join(', ')}.${didYouMean(second, words, `glim ${first} `)}`,
    )
  }
  const found = commands.find(({ name }) => name === first)
  if (found) return found
  if (Object.hasOwn(unbuilt, first))
    throw new Failure(2, 'NOT_IMPLEMENTED', `glim ${first} is not built yet (${unbuilt[first]}).`)
  const names = [...new Set(commands.map(({ name }) => name.split(' ')[0]!))]
  throw usage(`There is no command ${first}.${didYouMean(first, names, 'glim ')} See: glim --help`)
}

/** One line, so that a reader of lines gets one value. */
function jsonOf(value: unknown): string {
  return value instanceof Verbatim ? value.json : JSON.stringify(value)
}

/** Asked of the bare arguments, for they may be what is wrong. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json')
}
