import type { Outcome } from '#contracts/outcome.ts'
import type { MetricsOptions } from '#src/usage/metrics.ts'

/** Bindings of the dispatcher. */
export interface DispatcherEnv {
  HOST: ServiceBinding
  /** One object: the registry. */
  REGISTRY: DurableObjectNamespace<RegistryRpc>
  /** One object: the invocation log. */
  INVOCATION_LOG: DurableObjectNamespace<InvocationLogRpc>
  /** One object for each principal: the responses it may go on from. */
  RESPONSE_STORE: DurableObjectNamespace<ResponseStoreRpc>
  /** Lower-case hex SHA-256 of the administrator's token. */
  ADMIN_TOKEN_HASH: string
  /** `loopback` refuses requests whose Host or Origin is another machine's; `any` is for servers bound beyond loopback. */
  ALLOWED_HOSTS: 'loopback' | 'any'
  /** Milliseconds without a request until an endpoint is doused. */
  IDLE_MS: number
  /** Whether `/health` waits for the starter endpoints. */
  EXPECT_STARTERS: boolean
}

/** The registry's object as other isolates reach it. */
export interface RegistryRpc {
  /** Calls one method of the registry, and starts what it left to be deployed. */
  call(method: string, args: readonly unknown[]): Promise<Outcome<unknown>>
  /** The whole registry if it changed since a revision (`snapshot-reply.ts`). */
  newerThan(revision: number): Promise<Response>
}

/** Bodies are the JSON of a `StoredResponse`. */
export interface ResponseStoreRpc {
  get(id: string): Promise<string | null>
  /** Resolves to whether it is kept. */
  put(id: string, body: string): Promise<boolean>
  /** Resolves to whether there was one. */
  delete(id: string): Promise<boolean>
}

export interface InvocationLogRpc {
  /** @param rows a JSON list of `InvocationRow`; @param firstMs when the first of them started. */
  append(firstMs: number, rows: string): Promise<void>
  /** The metrics of some endpoints over the last minute, as text. */
  metrics(endpointIds: readonly string[], options: Omit<MetricsOptions, 'rows'>): Promise<string>
}
