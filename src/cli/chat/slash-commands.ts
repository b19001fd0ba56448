/** What can be typed instead of a message. Each changes the conversation and says what is now so. */
import type { Conversation, Settings } from './conversation.ts'

interface SlashCommand {
  name: string
  value?: string
  help: string
  /** Returns what to tell; null ends the chat. */
  run(conversation: Conversation, value: string): string | null
}

const slashCommands: readonly SlashCommand[] = [
  { name: 'help', help: 'show these commands', run: () => slashHelp() },
  { name: 'clear', help: 'forget what was said', run: clear },
  { name: 'undo', help: 'take the last question and answer back', run: undo },
  { name: 'history', help: 'show what was said', run: history },
  {
    name: 'system',
    value: 'TEXT',
    help: 'what the model is told before everything; without TEXT nothing',
    run: system,
  },
  numeric('temperature', 'temperature', 'NUMBER', '0 takes the likeliest token', { least: 0, most: 2 }),
  numeric('top-p', 'topP', 'NUMBER', 'keeps the likeliest tokens up to this probability', { least: 0, most: 1 }),
  numeric('max', 'maxTokens', 'TOKENS', 'longest answer', { least: 1, most: 1_000_000, isWhole: true }),
  numeric('seed', 'seed', 'NUMBER', 'the same seed gives the same answer', { least: 0, most: 2 ** 31, isWhole: true }),
  { name: 'quit', help: 'end the chat, as Ctrl-D does', run: () => null },
]

/** Runs a line that begins with a slash. Returns what to tell, or null where the chat ends. */
export function runSlash(line: string, conversation: Conversation): string | null {
  const [, name = '', value = ''] = /^\/(\S*)\s*(.*)$/s.exec(line) ?? []
  const command = slashCommands.find((candidate) => candidate.name === name)
  return command ? command.run(conversation, value.trim()) : `There is no command /${name}.\n${slashHelp()}`
}

function slashHelp(): string {
  const rows = slashCommands.map(({ name, value, help }) => [`/${name}${value ? ` ${value}` : ''}`, help] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

function clear(conversation: Conversation): string {
  conversation.clear()
  return 'Forgotten.'
}

function undo(conversation: Conversation): string {
  return conversation.undo() ? 'Taken back.' : 'There is nothing to take back.'
}

function history({ turns }: Conversation): string {
  return turns.length === 0
    ? 'Nothing was said yet.'
    : turns.map(({ role, content }) => `${role}: ${content}`).join('\n')
}

function system(conversation: Conversation, value: string): string {
  conversation.system = value === '' ? undefined : value
  return value === '' ? 'No system message.' : 'From the next message on.'
}

interface Bounds {
  least: number
  most: number
  isWhole?: boolean
}

/** A command that sets a number, and without one leaves it to the model again. */
function numeric(name: string, key: keyof Settings, value: string, help: string, bounds: Bounds): SlashCommand {
  const { least, most, isWhole = false } = bounds
  return {
    name,
    value,
    help: `${help}; without ${value} the model's own`,
    run(conversation, text) {
      const { [key]: _before, ...others } = conversation.settings
      if (text === '') {
        conversation.settings = others
        return `${name}: the model's own.`
      }
      const number = Number(text)
      if (!(number >= least && number <= most) || (isWhole && !Number.isInteger(number)))
        return `/${name} takes ${isWhole ? 'a whole number' : 'a number'} from ${least} to ${most}, and "${text}" came.`
      conversation.settings = { ...others, [key]: number }
      return `${name}: ${number}.`
    },
  }
}
