/** Every command there is, in the order in which help lists them, and the names that are to come. */
import type { Command } from './command.ts'
import { chatCommand } from './commands/chat.ts'
import { devCommand } from './commands/dev.ts'
import { endpointCommands } from './commands/endpoints.ts'
import { invokeCommand } from './commands/invoke.ts'
import { modelCommands } from './commands/models.ts'
import { tokenCommands } from './commands/tokens.ts'
import type { Unbuilt } from './help.ts'

export const commands: readonly Command[] = [
  devCommand,
  ...modelCommands,
  ...endpointCommands,
  invokeCommand,
  chatCommand,
  ...tokenCommands,
]

export const unbuilt: Unbuilt = {
  serve: 'run a server for production on this machine',
  deploy: 'put glim on the Cloudflare network',
  logs: 'follow what an endpoint prints',
  sql: 'query the invocation log',
  batch: 'ask an endpoint about a whole file',
  bench: 'measure an endpoint',
}
