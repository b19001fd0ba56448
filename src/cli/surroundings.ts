/** The one reader of the environment: which server, which token, which folder, whose paths. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { limits } from '#contracts/limits.ts'
import { glimClient } from '#src/client/client.ts'
import type { Hub } from '#src/client/sources/hub-source.ts'
import type { Surroundings } from './command.ts'
import { tokenPattern } from './dev/admin-token.ts'
import { Failure, usage } from './failure.ts'
import { integerOption } from './parse-arguments.ts'
import type { Terminal } from './terminal.ts'

export const packageRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/[/\\]$/, '')

type Env = Surroundings['env']

export function surroundingsOf(env: Env, cwd: string, terminal: Terminal): Surroundings {
  const locate = (path: string) => resolve(callersFolder(env, cwd), path)
  return {
    terminal,
    env,
    locate,
    client() {
      const { host, port } = addressFrom(env)
      const token = tokenFrom(env, homeFrom(env, locate))
      return glimClient({ url: originOf(host, port), ...(token === undefined ? {} : { token }) })
    },
  }
}

export function addressFrom(
  env: Env,
  options: { host?: string | undefined; port?: string | undefined } = {},
): { host: string; port: number } {
  const port = options.port ?? given(env.GLIM_PORT)
  return {
    host: options.host ?? given(env.GLIM_HOST) ?? '127.0.0.1',
    port: integerOption(options.port === undefined ? 'GLIM_PORT' : '--port', port, 0, 65_535) ?? 8787,
  }
}

/** Where `hf:` sources come from. */
export function hubFrom(env: Env): Hub {
  const token = given(env.GLIM_HUB_TOKEN)
  return {
    url: given(env.GLIM_HUB_URL) ?? 'https://huggingface.co',
    ...(token === undefined ? {} : { token: word(token, 'GLIM_HUB_TOKEN') }),
  }
}

/** The folder of all state. */
export function homeFrom(env: Env, locate: (path: string) => string, option?: string): string {
  const home = option ?? given(env.GLIM_HOME)
  return home === undefined ? join(packageRoot, '.glim') : locate(home)
}

/** Memory that one endpoint isolate may use. Far under what a workerd process addresses, far over any model that fits one. */
export function isolateBytesFrom(env: Env, option?: string): number {
  const name = option === undefined ? 'GLIM_ISOLATE_MB' : '--isolate-mb'
  const mebibytes = integerOption(name, option ?? given(env.GLIM_ISOLATE_MB), 32, 4_096)
  return mebibytes === undefined ? limits.isolateBytes : mebibytes * 2 ** 20
}

/** Milliseconds for which one graph may work at a stretch; everything else on the server waits meanwhile. */
export function runMsFrom(env: Env, option?: string): number {
  const name = option === undefined ? 'GLIM_RUN_SECONDS' : '--run-seconds'
  const seconds = integerOption(name, option ?? given(env.GLIM_RUN_SECONDS), 1, 3_600)
  return seconds === undefined ? limits.runMs : seconds * 1_000
}

/** Where a client finds a server that was told to listen at `host`. */
export function originOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** npm runs scripts in the package's folder and tells the caller's; a value inherited from some outer npm means nothing. */
function callersFolder(env: Env, cwd: string): string {
  return env.INIT_CWD && cwd === packageRoot ? env.INIT_CWD : cwd
}

/** Undefined where there is none: whether that matters is the server's to say, if there is one. */
function tokenFrom(env: Env, home: string): string | undefined {
  const token = given(env.GLIM_TOKEN)
  return token === undefined ? tokenIn(join(home, 'token')) : word(token, 'GLIM_TOKEN')
}

function tokenIn(path: string): string | undefined {
  try {
    return word(readFileSync(path, 'utf8').trim(), path)
  } catch (error) {
    if (error instanceof Failure) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw usage(`The token in ${path} cannot be read (${code}). Set GLIM_TOKEN instead.`)
  }
}

function word(token: string, place: string): string {
  if (tokenPattern.test(token)) return token
  throw usage(`What ${place} holds is no token: a token is one word of printable ASCII characters.`)
}

/** An empty variable is one that somebody meant to unset. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}
