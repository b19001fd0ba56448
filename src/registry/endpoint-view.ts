/**
 * Endpoints as the API shows them. Infrastructure-as-code compares a reply with what was declared, so what is always sent,
 * what is echoed and what is left out is part of the contract (`reference/serving-api.md` §4, §5): what was given comes
 * back as it was given, explicit `false` and 0 too, and no default is added to it.
 */
import type { Endpoint, EndpointConfig, ModelVersion, PermissionLevel, ServedEntity } from '#contracts/registry.ts'
import type { Task } from '#contracts/task.ts'
import { isReady, type LiveMessage, stateSummary } from './state-summary.ts'

export interface ViewFacts {
  /** What the caller may do with the endpoint. */
  permission: PermissionLevel
  /** Origin under which the caller reached us, such as `http://127.0.0.1:8787`. */
  host: string
  /** The snapshot's versions, keyed `name/version`; they tell the task. */
  versions: Readonly<Record<string, Pick<ModelVersion, 'task'>>>
  /** What only the running system knows about an entity, such as "Scaled to zero"; undefined: the registry's own message. */
  liveMessage?: LiveMessage
  /** The same for the summary alone, which is no part of the reference, where there is no live message. */
  liveAside?: LiveMessage
}

/** The tasks for which the reference has a name. */
const wireTasks: Readonly<Partial<Record<Task, string>>> = {
  'feature-extraction': 'llm/v1/embeddings',
  'text-generation': 'llm/v1/chat',
}

/** `ServingEndpoint`: an endpoint in a list. Until something is active, its configuration is the one that comes up. */
export function endpointSummary(endpoint: Endpoint, facts: ViewFacts) {
  const config = endpoint.active ?? endpoint.pending
  return {
    ...commonFields(endpoint, facts),
    ...(config && {
      config: {
        served_entities: config.servedEntities.map(({ name, entityName, entityVersion }) => ({
          name,
          entity_name: entityName,
          entity_version: entityVersion,
        })),
        served_models: config.servedEntities.map(({ name, entityName, entityVersion }) => ({
          name,
          model_name: entityName,
          model_version: entityVersion,
        })),
      },
    }),
  }
}

/** `ServingEndpointDetailed`: the reply to get, create and update. */
export function endpointDetail(endpoint: Endpoint, facts: ViewFacts) {
  const { active, pending, emailNotifications } = endpoint
  const messageOf = (entity: ServedEntity) => facts.liveMessage?.(endpoint, entity) ?? entity.stateMessage
  return {
    ...commonFields(endpoint, facts),
    endpoint_url: `${facts.host}/serving-endpoints/${endpoint.name}/invocations`,
    ...(active && { config: configFields(active, messageOf) }),
    ...(pending && {
      pending_config: { ...configFields(pending, messageOf), start_time: pending.startedMs },
    }),
    ...(emailNotifications === null ? {} : { email_notifications: emailNotifications }),
  }
}

/** `{key}` or `{key, value}`, sorted by key. */
export function tagList(endpoint: Endpoint): { key: string; value?: string }[] {
  return Object.entries(endpoint.tags)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => (value === undefined ? { key } : { key, value }))
}

function commonFields(endpoint: Endpoint, facts: ViewFacts) {
  const task = taskOf(endpoint, facts)
  return {
    name: endpoint.name,
    id: endpoint.id,
    creator: endpoint.creator,
    creator_kind: endpoint.creatorKind === 'user' ? 'User' : 'ServicePrincipal',
    creation_timestamp: endpoint.createdMs,
    last_updated_timestamp: endpoint.updatedMs,
    state: { ready: isReady(endpoint) ? 'READY' : 'NOT_READY', config_update: endpoint.configUpdate },
    state_summary: stateSummary(
      endpoint,
      (of, entity) => facts.liveMessage?.(of, entity) ?? facts.liveAside?.(of, entity),
    ),
    permission_level: facts.permission,
    route_optimized: endpoint.routeOptimized,
    description: endpoint.description,
    tags: tagList(endpoint),
    ...(task === undefined ? {} : { task }),
    ...(endpoint.budgetPolicyId === null ? {} : { budget_policy_id: endpoint.budgetPolicyId }),
  }
}

function configFields(config: EndpointConfig, messageOf: (entity: ServedEntity) => string) {
  return {
    served_entities: config.servedEntities.map((entity) => ({
      name: entity.name,
      entity_name: entity.entityName,
      entity_version: entity.entityVersion,
      ...sharedEntityFields(entity, messageOf),
    })),
    // The deprecated form beside it, as in the reference: clients written for it read nothing else.
    served_models: config.servedEntities.map((entity) => ({
      name: entity.name,
      model_name: entity.entityName,
      model_version: entity.entityVersion,
      ...sharedEntityFields(entity, messageOf),
    })),
    traffic_config: {
      routes: config.routes.map(({ servedEntityName, trafficPercentage }) => ({
        served_entity_name: servedEntityName,
        served_model_name: servedEntityName,
        traffic_percentage: trafficPercentage,
      })),
    },
    config_version: config.version,
    ...(config.autoCapture && { auto_capture_config: config.autoCapture }),
  }
}

function sharedEntityFields(entity: ServedEntity, messageOf: (entity: ServedEntity) => string) {
  return {
    ...entity.echo,
    creator: entity.creator,
    creation_timestamp: entity.createdMs,
    state: { deployment: entity.state, deployment_state_message: messageOf(entity) },
  }
}

/** An endpoint has a task where all of its entities have that one. */
function taskOf(endpoint: Endpoint, { versions }: ViewFacts): string | undefined {
  const entities = (endpoint.active ?? endpoint.pending)?.servedEntities ?? []
  const found = new Set(
    entities.map(({ entityName, entityVersion }) => {
      const task = versions[`${entityName}/${entityVersion}`]?.task
      return task && wireTasks[task]
    }),
  )
  return found.size === 1 ? [...found][0] : undefined
}
