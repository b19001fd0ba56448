/** `glim chat` */
import { text } from 'node:stream/consumers'
import { answer } from '../chat/answer.ts'
import { Conversation } from '../chat/conversation.ts'
import { converse } from '../chat/converse.ts'
import { type Call, type Command, defineCommand } from '../command.ts'
import { usage } from '../failure.ts'
import { integerOption } from '../parse-arguments.ts'

export const chatCommand: Command = defineCommand({
  name: 'chat',
  summary: 'talk to an endpoint',
  details:
    'Without MESSAGE a conversation on the terminal: every line is a message, /help shows the commands, Ctrl-C stops an answer and\n' +
    'Ctrl-D ends the chat. With MESSAGE, or with one on standard input, only the answer is written.',
  arguments: [
    { name: 'ENDPOINT', help: 'name of the endpoint' },
    { name: 'MESSAGE', help: 'the only message', optional: true },
  ],
  options: {
    system: { type: 'string', value: 'TEXT', help: 'what the model is told before everything' },
    'max-tokens': { type: 'string', value: 'N', help: 'longest answer' },
    temperature: { type: 'string', value: 'NUMBER', help: '0 takes the likeliest token, up to 2' },
    seed: { type: 'string', value: 'N', help: 'the same seed gives the same answer' },
  },
  examples: ['glim chat story', 'glim chat story "Once upon a time" --max-tokens 80 --seed 7'],
  async run(call) {
    const { args, values } = call
    const [endpoint, message] = args as [string, string | undefined]
    const maxTokens = integerOption('--max-tokens', values['max-tokens'], 1, 1_000_000)
    const seed = integerOption('--seed', values.seed, 0, 2 ** 31)
    const temperature = temperatureOption(values.temperature)
    const conversation = new Conversation(endpoint, values.system, {
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(temperature === undefined ? {} : { temperature }),
      ...(seed === undefined ? {} : { seed }),
    })
    if (message === undefined && process.stdin.isTTY) {
      const { stdin: input, stdout: output } = process
      await converse(conversation, { client: call.client(), terminal: call.terminal, input, output })
      return null
    }
    return once(message ?? (await text(process.stdin)).trim(), conversation, call)
  },
})

async function once(
  question: string,
  conversation: Conversation,
  call: Pick<Call<unknown>, 'client' | 'terminal' | 'values'>,
) {
  if (question === '') throw usage('The message is empty.')
  const stopped = new AbortController()
  const { terminal } = call
  const written = call.values.json ? { ...terminal, write: () => {}, note: () => {} } : terminal
  await answer(question, conversation, { client: call.client(), terminal: written, signal: stopped.signal })
  const content = conversation.turns.at(-1)!.content
  return call.values.json ? { value: { content }, text: content } : null
}

function temperatureOption(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const temperature = Number(value)
  if (value.trim() !== '' && temperature >= 0 && temperature <= 2) return temperature
  throw usage(`--temperature must be a number from 0 to 2, and "${value}" came.`)
}
