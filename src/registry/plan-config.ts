/**
 * From a configuration as a client writes it to one that can be deployed: names and creation facts filled in, versions
 * pinned, traffic decided. A request may leave parts out; those come from the configuration in force, so that a
 * traffic-only update keeps the entities and an update of the entities keeps the split while its names still fit.
 */
import { invalidParameter } from '#contracts/errors.ts'
import { shown } from '#contracts/parse.ts'
import type { EndpointConfig, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import type { ConfigBody, EntityBody } from './endpoint-schema.ts'
import type { ReferenceFields } from './models.ts'
import { planRoutes } from './plan-routes.ts'
import { sameJson } from './same-json.ts'

export interface PlanFacts {
  /** What the update starts from; null where the endpoint has had no configuration. */
  base: EndpointConfig | null
  /** Where the configuration lies in the request, for errors: `config.` or nothing. */
  at: string
  creator: string
  nowMs: number
  resolve(entityName: string, entityVersion: string | undefined, fields: ReferenceFields): ModelVersion
}

export type ConfigPlan = Pick<EndpointConfig, 'servedEntities' | 'routes' | 'autoCapture'>

/** Resolves to null where the configuration names no entity and none is in force: legal at creation, nothing to serve. */
export function planConfig(config: ConfigBody, facts: PlanFacts): ConfigPlan | null {
  const { base, at } = facts
  const given = givenEntities(config, at)
  const servedEntities = given
    ? given.entities.map((entity, index) => planEntity(entity, given.form, `${at}${given.form}[${index}].`, facts))
    : base?.servedEntities.map((entity) => starting(entity))
  const autoCapture = config.auto_capture_config ?? base?.autoCapture
  const wantedRoutes = config.traffic_config?.routes
  if (!servedEntities) {
    if (wantedRoutes?.length) throw invalidParameter(`${at}traffic_config`, 'there are no served entities to route to')
    return null
  }
  refuseTwice(servedEntities, `${at}${given?.form}`)
  const routes = planRoutes(wantedRoutes, servedEntities, base, at)
  return { servedEntities, routes, ...(autoCapture === undefined ? {} : { autoCapture }) }
}

interface GivenEntities {
  form: 'served_entities' | 'served_models'
  entities: readonly EntityBody[]
}

function givenEntities(config: ConfigBody, at: string): GivenEntities | null {
  const { served_entities: entities, served_models: models } = config
  if (entities?.length && models?.length) {
    throw invalidParameter(`${at}served_models`, 'Cannot use both served_models and served_entities')
  }
  if (entities?.length) return { form: 'served_entities', entities }
  if (!models?.length) return null
  return {
    form: 'served_models',
    entities: models.map(({ model_name, model_version, ...rest }) => ({
      ...rest,
      entity_name: model_name,
      entity_version: model_version,
    })),
  }
}

function planEntity(given: EntityBody, form: GivenEntities['form'], at: string, facts: PlanFacts): ServedEntity {
  const noun = form === 'served_models' ? 'model' : 'entity'
  const fields = { name: `${at}${noun}_name`, version: `${at}${noun}_version` }
  if (given.entity_name === undefined)
    throw invalidParameter(fields.name, 'is missing; expected the name of a registered model')
  checkConcurrency(given, at)
  const version = facts.resolve(given.entity_name, given.entity_version, fields)
  const entity: ServedEntity = {
    name: given.name ?? `${version.name.split('.').at(-1)}-${version.version}`,
    entityName: version.name,
    entityVersion: version.version,
    echo: echoOf(given),
    scaleToZero: given.scale_to_zero_enabled ?? true,
    creator: facts.creator,
    createdMs: facts.nowMs,
    state: 'DEPLOYMENT_CREATING',
    stateMessage: '',
  }
  const before = facts.base?.servedEntities.find((candidate) => isUnchanged(candidate, entity))
  return before ? { ...entity, creator: before.creator, createdMs: before.createdMs } : entity
}

/** Every configuration deploys all of its entities; one that is warm already is ready at once. */
function starting(entity: ServedEntity): ServedEntity {
  return { ...entity, state: 'DEPLOYMENT_CREATING', stateMessage: '' }
}

const echoed = [
  'workload_size',
  'workload_type',
  'scale_to_zero_enabled',
  'min_provisioned_concurrency',
  'max_provisioned_concurrency',
  'min_provisioned_throughput',
  'max_provisioned_throughput',
  'provisioned_model_units',
  'environment_vars',
] as const

/** What was given and nothing else: an added default reads as drift to whoever declared the endpoint. */
function echoOf(given: EntityBody): Record<string, unknown> {
  return Object.fromEntries(echoed.flatMap((field) => (given[field] === undefined ? [] : [[field, given[field]]])))
}

function isUnchanged(before: ServedEntity, after: ServedEntity): boolean {
  return (
    before.name === after.name &&
    before.entityName === after.entityName &&
    before.entityVersion === after.entityVersion &&
    sameJson(before.echo, after.echo)
  )
}

function checkConcurrency(given: EntityBody, at: string): void {
  const { min_provisioned_concurrency: min, max_provisioned_concurrency: max } = given
  if (given.workload_size !== undefined && (min !== undefined || max !== undefined)) {
    throw invalidParameter(
      `${at}workload_size`,
      'cannot be used with min_provisioned_concurrency or max_provisioned_concurrency; give one or the other',
    )
  }
  if (min !== undefined && max !== undefined && min > max) {
    throw invalidParameter(
      `${at}min_provisioned_concurrency`,
      `${min} is more than max_provisioned_concurrency, ${max}`,
    )
  }
}

function refuseTwice(entities: readonly ServedEntity[], at: string): void {
  for (const [index, { name }] of entities.entries()) {
    if (entities.findIndex((entity) => entity.name === name) < index) {
      throw invalidParameter(
        `${at}[${index}].name`,
        `${shown(name)} is used twice; served entity names are unique within an endpoint`,
      )
    }
  }
}
