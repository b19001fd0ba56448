/**
 * The registry's nouns: principals and their tokens, models with immutable versions and moving aliases, endpoints with an
 * active and a pending configuration, and the snapshot from which a dispatcher isolate authenticates and routes without I/O.
 */
import type { Capabilities } from './capabilities.ts'
import type { Digest } from './manifest.ts'
import type { Signature } from './signature.ts'
import type { Task } from './task.ts'

/** Who is calling. Administrators are the members of the group `admins`; everybody is a member of `users`. */
export interface Principal {
  name: string
  kind: 'user' | 'service_principal'
  groups: readonly string[]
}

export const adminGroup = 'admins'
export const everyoneGroup = 'users'

export function isAdmin(principal: Principal): boolean {
  return principal.groups.includes(adminGroup)
}

/** A bearer token at rest: its SHA-256, never its text. */
export interface TokenRecord {
  tokenId: string
  /** Lower-case hex SHA-256 of the token. */
  hash: string
  principal: Principal
  comment: string
  createdMs: number
  /** Null: never expires. */
  expiresMs: number | null
}

export interface ModelVersion {
  /** One-part or three-part name (`catalog.schema.model`). */
  name: string
  version: string
  manifest: Digest
  task: Task
  /** Path of the graph among the artifacts. */
  graph: string
  options: Readonly<Record<string, unknown>>
  signature: Signature
  /** A native invocation body that the version has answered at import. */
  inputExample: unknown
  sizeBytes: number
  /** WebAssembly heap after the example ran. */
  heapBytes: number
  /** Measured at import; absent where nothing was, as of a version whose weights come on first use. */
  capabilities?: Capabilities
  source: string
  comment: string
  createdMs: number
  creator: string
}

export interface RegisteredModel {
  name: string
  comment: string
  createdMs: number
  updatedMs: number
  creator: string
  /** Newest last. */
  versions: readonly string[]
  aliases: Readonly<Record<string, string>>
}

export type DeploymentState =
  | 'DEPLOYMENT_CREATING'
  | 'DEPLOYMENT_READY'
  | 'DEPLOYMENT_FAILED'
  | 'DEPLOYMENT_ABORTED'
  | 'DEPLOYMENT_RECOVERING'

export interface ServedEntity {
  name: string
  entityName: string
  entityVersion: string
  /** Fields that the API echoes exactly as they were given (`workload_size`, explicit false and 0, …). */
  echo: Readonly<Record<string, unknown>>
  scaleToZero: boolean
  creator: string
  createdMs: number
  state: DeploymentState
  stateMessage: string
}

export interface Route {
  servedEntityName: string
  trafficPercentage: number
}

export interface EndpointConfig {
  version: number
  servedEntities: readonly ServedEntity[]
  routes: readonly Route[]
  /** The legacy `auto_capture_config`, echoed as it was given; absent where none was. */
  autoCapture?: Readonly<Record<string, unknown>>
  startedMs: number
}

export type ConfigUpdateState = 'NOT_UPDATING' | 'IN_PROGRESS' | 'UPDATE_FAILED' | 'UPDATE_CANCELED'
export type PermissionLevel = 'CAN_VIEW' | 'CAN_QUERY' | 'CAN_MANAGE'
export const permissionLevels = ['CAN_VIEW', 'CAN_QUERY', 'CAN_MANAGE'] as const

export type GranteeKind = 'user_name' | 'group_name' | 'service_principal_name'
export interface Grant {
  kind: GranteeKind
  name: string
  level: PermissionLevel
}

export interface Endpoint {
  /** 32 hex digits. */
  id: string
  name: string
  creator: string
  creatorKind: Principal['kind']
  createdMs: number
  /** When a user last changed it; deployments that end do not count. */
  updatedMs: number
  description: string
  tags: Readonly<Record<string, string | undefined>>
  routeOptimized: boolean
  budgetPolicyId: string | null
  emailNotifications: unknown
  /** What answers now; null before the first deployment succeeded. */
  active: EndpointConfig | null
  /** What is coming up, or what failed to; the active configuration serves on meanwhile. */
  pending: EndpointConfig | null
  configUpdate: ConfigUpdateState
  grants: readonly Grant[]
}

/** Everything a dispatcher isolate needs to authenticate, route and validate. */
export interface RegistrySnapshot {
  /** Grows with every change of the registry. */
  revision: number
  tokens: readonly TokenRecord[]
  endpoints: readonly Endpoint[]
  /** The versions that endpoints refer to, keyed `name/version`. */
  versions: Readonly<Record<string, ModelVersion>>
  /** Names of the starter endpoints once they were installed; null before. */
  starters: readonly string[] | null
}
