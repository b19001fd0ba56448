/** What the server answers, as far as the client reads it (`docs/wire-protocol.md`). */
import type { ConfigUpdateState } from '#contracts/registry.ts'
import type { Signature } from '#contracts/signature.ts'

export interface VersionView {
  name: string
  version: string
  task: string
  graph: string
  manifest: string
  size_bytes: number
  heap_bytes: number
  /** Null for a version whose weights come on first use. */
  capabilities: {
    max_tokens: number | null
    max_batch: number
    batch_invariant: boolean
    devices: readonly string[]
    memory_bytes: number
  } | null
  signature: Signature
  input_example: unknown
  source: string
  comment: string
  creator: string
  creation_timestamp: number
}

export interface ModelView {
  name: string
  creator: string
  creation_timestamp: number
  last_updated_timestamp: number
  /** Newest last. */
  versions: readonly string[]
  aliases: Readonly<Record<string, string>>
}

export interface ModelDetail extends ModelView {
  model_versions: readonly VersionView[]
}

export interface ServedEntityView {
  scale_to_zero_enabled?: boolean
  name: string
  entity_name: string
  entity_version: string
  state?: { deployment: string; deployment_state_message: string }
}

export interface ConfigView {
  served_entities: readonly ServedEntityView[]
  traffic_config?: { routes: readonly { served_entity_name: string; traffic_percentage: number }[] }
  config_version?: number
}

export interface EndpointView {
  name: string
  id: string
  creator: string
  creation_timestamp: number
  task?: string
  state: { ready: 'READY' | 'NOT_READY'; config_update: ConfigUpdateState }
  state_summary: string
  endpoint_url?: string
  config?: ConfigView
  pending_config?: ConfigView
}

export interface TokenInfo {
  token_id: string
  creation_time: number
  /** −1: never. */
  expiry_time: number
  comment: string
  created_by_username: string
  groups: readonly string[]
}

/** The body of `POST /api/2.0/serving-endpoints`, less its name, and of `PUT …/config`. */
export interface ConfigRequest {
  served_entities?: readonly { entity_name: string; entity_version?: string; scale_to_zero_enabled?: boolean }[]
  traffic_config?: { routes: readonly { served_entity_name: string; traffic_percentage: number }[] }
}
