/** `glim dev`: the server of one machine, in the foreground. */
import { type Command, defineCommand } from '../command.ts'
import { integerOption } from '../parse-arguments.ts'
import { addressFrom, homeFrom, hubFrom, isolateBytesFrom, runMsFrom } from '../surroundings.ts'

const defaultIdleSeconds = 300
const defaultCacheGib = 20

export const devCommand: Command = defineCommand({
  name: 'dev',
  summary: 'run a server on this machine until Ctrl-C',
  details:
    'On the first start it makes an administrator token in the state folder and installs the starter endpoints. It has started\n' +
    'when "glim ready on http://HOST:PORT" is printed. Ctrl-C lets requests finish for up to 10 seconds; again, it ends at once.',
  arguments: [],
  options: {
    host: { type: 'string', value: 'HOST', help: 'address to listen on (GLIM_HOST, or 127.0.0.1)' },
    port: { type: 'string', value: 'PORT', help: 'port to listen on, 0 for any free one (GLIM_PORT, or 8787)' },
    home: { type: 'string', value: 'FOLDER', help: 'folder of all state (GLIM_HOME, or .glim in the checkout)' },
    'idle-seconds': { type: 'string', value: 'N', help: 'an endpoint is doused after so long without a request (300)' },
    'cache-gib': { type: 'string', value: 'N', help: 'the most that models may take on disk (20)' },
    'isolate-mb': {
      type: 'string',
      value: 'N',
      help: 'MiB of memory that one endpoint isolate may use (GLIM_ISOLATE_MB, or 128)',
    },
    'run-seconds': {
      type: 'string',
      value: 'N',
      help: 'a graph may work for so long at a stretch (GLIM_RUN_SECONDS, or 30)',
    },
    'no-starters': { type: 'boolean', help: 'do not install the starter endpoints' },
  },
  examples: ['glim dev', 'npm start -- --port 9000 --home ./state'],
  async run({ values, env, locate, terminal }) {
    const idleSeconds =
      integerOption('--idle-seconds', values['idle-seconds'], 1, 365 * 24 * 3600) ?? defaultIdleSeconds
    const cacheGib = integerOption('--cache-gib', values['cache-gib'], 1, 100_000) ?? defaultCacheGib
    const address = addressFrom(env, values)
    // Loaded here: Miniflare and the bundler are six megabytes of JavaScript that no other command needs.
    const { runServer } = await import('../dev/run-server.ts')
    await runServer({
      ...address,
      home: homeFrom(env, locate, values.home),
      givenToken: env.GLIM_TOKEN,
      idleMs: idleSeconds * 1_000,
      hub: hubFrom(env),
      cacheBytes: cacheGib * 2 ** 30,
      isolateBytes: isolateBytesFrom(env, values['isolate-mb']),
      runMs: runMsFrom(env, values['run-seconds']),
      withStarters: !values['no-starters'],
      underNpm: env.npm_lifecycle_event !== undefined,
      terminal,
      announce: ({ url, endpoints, seconds }) => {
        if (values.json) return terminal.print(JSON.stringify({ ready: true, url, endpoints, seconds }))
        terminal.print(`endpoints: ${endpoints.join(', ') || 'none yet'}`)
        terminal.print(`started in ${seconds.toFixed(1)} s`)
        terminal.print(`glim ready on ${url}`)
      },
    })
    return null
  },
})
