/**
 * Known fields of the reference that this version does not have. Each is refused by name with 501: accepting it would
 * promise a client something (a limit, a log, a budget) that nobody keeps.
 */
import { notBuilt } from '#contracts/errors.ts'
import type { ConfigBody, CreateEndpointBody } from './endpoint-schema.ts'

export function refuseUnbuiltEndpoint(request: CreateEndpointBody): void {
  for (const field of ['ai_gateway', 'rate_limits', 'telemetry_config'] as const) {
    if (!isEmpty(request[field])) throw notBuilt(field)
  }
  if (request.uc_system_metrics_export_state === 'FIRST_PARTY_EXPORT_ENABLED') {
    throw notBuilt('uc_system_metrics_export_state FIRST_PARTY_EXPORT_ENABLED')
  }
}

/** @param at where the configuration lies in the request, ending in a dot unless it is the whole body. */
export function refuseUnbuiltConfig(config: ConfigBody, at: string): void {
  for (const form of ['served_entities', 'served_models'] as const) {
    for (const [index, entity] of (config[form] ?? []).entries()) {
      refuseUnbuiltEntity(entity, `${at}${form}[${index}]`)
    }
  }
  const { auto_capture_config: capture } = config
  if (!isEmpty(capture) && capture?.enabled !== false) throw notBuilt(`${at}auto_capture_config`)
}

type AnyEntity = NonNullable<ConfigBody['served_entities'] | ConfigBody['served_models']>[number]

function refuseUnbuiltEntity(entity: AnyEntity, at: string): void {
  for (const field of ['external_model', 'instance_profile_arn'] as const) {
    if (entity[field] !== undefined) throw notBuilt(`${at}.${field}`)
  }
  // An explicit 0 asks for none, which is what there is; clients send it and expect it back.
  for (const field of [
    'min_provisioned_throughput',
    'max_provisioned_throughput',
    'provisioned_model_units',
  ] as const) {
    if (entity[field]) throw notBuilt(`${at}.${field}`)
  }
  for (const [name, value] of Object.entries(entity.environment_vars ?? {})) {
    if (/\{\{\s*secrets\//.test(value)) throw notBuilt(`${at}.environment_vars.${name}: a secret reference`)
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true
  return typeof value === 'object' && Object.values(value).every(isEmpty)
}
