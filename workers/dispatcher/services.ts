/** The dispatcher's reach, made once per isolate from its bindings; everything below floor 3 receives these plain interfaces. */
import type { Host } from '#contracts/host.ts'
import { resultOf } from '#contracts/outcome.ts'
import type { Principal } from '#contracts/registry.ts'
import type { UsageSink } from '#contracts/usage.ts'
import { adminToken } from '#src/gateway/authenticate.ts'
import { hostClient } from '#src/gateway/host-client.ts'
import { type RegistryViewSource, registryViewSource } from '#src/gateway/registry-view.ts'
import type { ResponseStore, StoredResponse } from '#src/gateway/response-store.ts'
import type { Registry } from '#src/registry/registry.ts'
import { bufferedSink } from '#src/usage/buffered-sink.ts'
import type { DispatcherEnv } from './env.ts'
import { readSnapshot } from './snapshot-reply.ts'

export interface Services {
  env: DispatcherEnv
  host: Host
  registry: RemoteRegistry
  views: RegistryViewSource
  sink: UsageSink
  /** The stored responses of one principal. */
  responsesOf(principal: Principal): ResponseStore
}

/** The registry's methods as calls to another isolate. */
export type RemoteRegistry = {
  [Name in keyof Registry]: Registry[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Result>
    : never
}

let shared: Services | undefined

/** Made once per isolate. */
export function servicesOf(env: DispatcherEnv): Services {
  shared ??= makeServices(env)
  return shared
}

function makeServices(env: DispatcherEnv): Services {
  const views = registryViewSource({
    newerThan: async (revision) => readSnapshot(await env.REGISTRY.getByName('registry').newerThan(revision)),
    fixedTokens: [adminToken(env.ADMIN_TOKEN_HASH)],
    now: () => Date.now(),
  })
  const sink = bufferedSink({
    write: (rows) => env.INVOCATION_LOG.getByName('log').append(rows[0]!.startedMs, JSON.stringify(rows)),
  })
  return {
    env,
    host: hostClient(env.HOST),
    registry: remoteRegistry(env, views),
    views,
    sink,
    responsesOf: (principal) => remoteResponses(env, principal),
  }
}

function remoteResponses(env: DispatcherEnv, { kind, name }: Principal): ResponseStore {
  const object = env.RESPONSE_STORE.getByName(`${kind}:${name}`)
  return {
    async get(id) {
      const body = await object.get(id)
      return body === null ? null : (JSON.parse(body) as StoredResponse)
    },
    put: (id, stored) => object.put(id, JSON.stringify(stored)),
    delete: (id) => object.delete(id),
  }
}

const readers = /^(get|list|resolve|build|pending|revision|starters|snapshot)/

/** The registry's methods over RPC; a refusal is thrown here as it was there, and a change expires this isolate's snapshot. */
function remoteRegistry(env: DispatcherEnv, source: RegistryViewSource): RemoteRegistry {
  return new Proxy({} as RemoteRegistry, {
    get:
      (_target, method: string) =>
      async (...args: unknown[]) => {
        const outcome = await env.REGISTRY.getByName('registry').call(method, args)
        if (!readers.test(method)) source.expire()
        return resultOf(outcome)
      },
  })
}
