import type { InvocationLogObject } from './invocation-log-object.ts'
import type { RegistryObject } from './registry-object.ts'

/** Bindings of the dispatcher. */
export interface DispatcherEnv {
  HOST: ServiceBinding
  /** One object: the registry. */
  REGISTRY: DurableObjectNamespace<Remote<RegistryObject>>
  /** One object: the invocation log. */
  INVOCATION_LOG: DurableObjectNamespace<Remote<InvocationLogObject>>
  /** Lower-case hex SHA-256 of the administrator's token. */
  ADMIN_TOKEN_HASH: string
  /** `loopback` refuses requests whose Host or Origin is another machine's; `any` is for servers bound beyond loopback. */
  ALLOWED_HOSTS: 'loopback' | 'any'
  /** Milliseconds without a request until an endpoint is doused. */
  IDLE_MS: number
  /** Whether `/health` waits for the starter endpoints. */
  EXPECT_STARTERS: boolean
}

/** An object's methods as they look from another isolate. */
export type Remote<T> = {
  [Name in keyof T as T[Name] extends (...args: never[]) => unknown ? Name : never]: T[Name] extends (
    ...args: infer Args
  ) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never
}
