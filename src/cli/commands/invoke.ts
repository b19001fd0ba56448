/** `glim invoke` */
import { text } from 'node:stream/consumers'
import { type Command, defineCommand, Verbatim } from '../command.ts'
import { invocationBody } from '../invocation-body.ts'

export const invokeCommand: Command = defineCommand({
  name: 'invoke',
  summary: 'ask an endpoint',
  details:
    'A bare text or list is the only column of the model; everything else is sent as it is. A .png or .jpg file is sent as an\n' +
    'image, a .csv file as a table, any other file as JSON. The reply is printed as it came.',
  arguments: [
    { name: 'ENDPOINT', help: 'name of the endpoint' },
    { name: 'INPUT', help: 'JSON, @FILE, or - for standard input' },
  ],
  options: {},
  examples: [
    `glim invoke intent '"Where is my card?"'`,
    'glim invoke digits @models/digits/sample.png',
    `echo '{"inputs": {"text": ["one", "two"]}}' | glim invoke embed -`,
  ],
  async run({ args, client, locate }) {
    const [endpoint, input] = args as [string, string]
    const body = await invocationBody(input, { locate, readStdin: () => text(process.stdin) })
    const reply = await client().invoke(endpoint, body)
    return { value: new Verbatim(reply), text: reply }
  },
})
