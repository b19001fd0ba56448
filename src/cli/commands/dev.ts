/** `glim dev`: the server of one machine, in the foreground. */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isServingError } from '#contracts/errors.ts'
import { type GlimClient, glimClient } from '#src/client/client.ts'
import { type Command, defineCommand } from '../command.ts'
import { adminToken } from '../dev/admin-token.ts'
import { requireFreePort } from '../dev/require-free-port.ts'
import { lockStateFolder } from '../dev/server-lock.ts'
import { installStarters } from '../dev/starters.ts'
import { openStateFolder } from '../dev/state-folder.ts'
import { integerOption } from '../parse-arguments.ts'
import { startServer } from '../start-server.ts'
import { addressFrom, homeFrom, originOf, packageRoot } from '../surroundings.ts'

export const devCommand: Command = defineCommand({
  name: 'dev',
  summary: 'run a server on this machine until Ctrl-C',
  arguments: [],
  options: {
    host: { type: 'string', value: 'HOST', help: 'address to listen on (GLIM_HOST, or 127.0.0.1)' },
    port: { type: 'string', value: 'PORT', help: 'port to listen on, 0 for any free one (GLIM_PORT, or 8787)' },
    home: { type: 'string', value: 'FOLDER', help: 'folder of all state (GLIM_HOME, or .glim in the checkout)' },
    'idle-seconds': { type: 'string', value: 'N', help: 'an endpoint is doused after so long without a request (300)' },
    'no-starters': { type: 'boolean', help: 'do not install the starter endpoints' },
  },
  examples: ['glim dev', 'npm start -- --port 9000 --home ./state'],
  async run({ values, env, locate, terminal }) {
    const started = Date.now()
    const { host, port } = addressFrom(env, values)
    const home = homeFrom(env, locate, values.home)
    const idleSeconds = integerOption('--idle-seconds', values['idle-seconds'], 1, 365 * 24 * 3600) ?? 300

    await openStateFolder(home)
    const unlock = lockStateFolder(home)
    const token = await adminToken(home, env.GLIM_TOKEN)
    await requireFreePort(host, port)
    const server = await startServer({
      host,
      port,
      home,
      adminTokenHash: token.hash,
      idleMs: idleSeconds * 1_000,
      expectStarters: !values['no-starters'],
      log: (line) => terminal.note(line),
    })
    const url = originOf(host, Number(server.url.port))
    const client = glimClient({ url, token: token.value })
    terminal.note(`state in ${home}; token in ${token.place}`)
    if (!values['no-starters']) {
      await installStarters({
        client,
        models: join(packageRoot, 'models'),
        note: (line) => terminal.note(line),
        progress: (line) => terminal.progress(line),
      })
    }
    await healthy(client)
    const names = (await client.listEndpoints()).map(({ name }) => name)
    terminal.print(
      `endpoints: ${names.join(', ') || 'none yet'} (started in ${((Date.now() - started) / 1_000).toFixed(1)} s)`,
    )
    terminal.print(`glim ready on ${url}`)
    await new Promise((stop) => process.once('SIGINT', stop).once('SIGTERM', stop))
    await server.stop()
    unlock()
    return null
  },
})

async function healthy(client: GlimClient): Promise<void> {
  for (;;) {
    try {
      await client.health()
      return
    } catch (error) {
      if (!isServingError(error)) throw error
    }
    await wait(100)
  }
}
