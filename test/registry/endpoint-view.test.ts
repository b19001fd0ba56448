/** The JSON of `reference/serving-api.md` §4 and §5. */
import { describe, expect, it } from 'vitest'
import { endpointDetail, endpointSummary, tagList, type ViewFacts } from '#src/registry/endpoint-view.ts'
import { ada, entity, type OpenRegistry, openWithModels } from './open-registry.ts'

const one = { served_entities: [entity('intent', '1')] }

function factsOf({ registry }: OpenRegistry, more: Partial<ViewFacts> = {}): ViewFacts {
  return { permission: 'CAN_MANAGE', host: 'http://127.0.0.1:8787', versions: registry.snapshot().versions, ...more }
}

describe('an endpoint in detail', () => {
  it('shows everything once it is ready', () => {
    const opened = openWithModels()
    const given = { scale_to_zero_enabled: false, min_provisioned_concurrency: 0, environment_vars: { A: 'b' } }
    const { id } = opened.create({
      name: 'a',
      tags: [{ key: 'z', value: '1' }, { key: 'a' }],
      email_notifications: { on_update_failure: ['x@y.z'] },
      budget_policy_id: 'policy',
      config: { served_entities: [entity('intent', '1', given)], auto_capture_config: { enabled: false } },
    })
    const endpoint = opened.bringUp('a')
    const { nowMs } = opened.clock
    const shared = {
      ...given,
      creator: ada.name,
      creation_timestamp: nowMs,
      state: { deployment: 'DEPLOYMENT_READY', deployment_state_message: '' },
    }
    expect(endpointDetail(endpoint, factsOf(opened))).toEqual({
      name: 'a',
      id,
      creator: 'ada@example.com',
      creator_kind: 'User',
      creation_timestamp: nowMs,
      last_updated_timestamp: nowMs,
      state: { ready: 'READY', config_update: 'NOT_UPDATING' },
      state_summary: 'Ready on config version 1.',
      permission_level: 'CAN_MANAGE',
      route_optimized: false,
      description: '',
      tags: [{ key: 'a' }, { key: 'z', value: '1' }],
      budget_policy_id: 'policy',
      email_notifications: { on_update_failure: ['x@y.z'] },
      endpoint_url: 'http://127.0.0.1:8787/serving-endpoints/a/invocations',
      config: {
        served_entities: [{ name: 'intent-1', entity_name: 'intent', entity_version: '1', ...shared }],
        served_models: [{ name: 'intent-1', model_name: 'intent', model_version: '1', ...shared }],
        traffic_config: {
          routes: [{ served_entity_name: 'intent-1', served_model_name: 'intent-1', traffic_percentage: 100 }],
        },
        config_version: 1,
        auto_capture_config: { enabled: false },
      },
    })
  })

  it('shows only pending_config while the first deployment is under way', () => {
    const opened = openWithModels()
    const detail = endpointDetail(opened.create({ name: 'a', config: one }), factsOf(opened))
    expect(detail).not.toHaveProperty('config')
    expect(detail).toMatchObject({
      state: { ready: 'NOT_READY', config_update: 'IN_PROGRESS' },
      state_summary: 'Coming up: 0 of 1 served entity is ready.',
      pending_config: {
        config_version: 1,
        start_time: opened.clock.nowMs,
        served_entities: [{ state: { deployment: 'DEPLOYMENT_CREATING', deployment_state_message: '' } }],
        traffic_config: { routes: [{ traffic_percentage: 100 }] },
      },
    })
  })

  it('shows a failed first deployment with its message', () => {
    const opened = openWithModels()
    const { id } = opened.create({ name: 'a', config: one })
    opened.registry.entityFailed(id, 1, 'intent-1', 'No artifact model.onnx.')
    expect(endpointDetail(opened.registry.getEndpoint('a'), factsOf(opened))).toMatchObject({
      state: { ready: 'NOT_READY', config_update: 'UPDATE_FAILED' },
      state_summary: 'Not ready: the deployment of config version 1 failed. intent-1: No artifact model.onnx.',
      pending_config: {
        served_entities: [
          { state: { deployment: 'DEPLOYMENT_FAILED', deployment_state_message: 'No artifact model.onnx.' } },
        ],
      },
    })
  })

  it('stays READY on the old configuration during an update and after a failed one', () => {
    const opened = openWithModels()
    const { id } = opened.create({ name: 'a', config: one })
    opened.bringUp('a')
    const updating = opened.update('a', { served_entities: [entity('intent', '2')] })
    expect(endpointDetail(updating, factsOf(opened))).toMatchObject({
      state: { ready: 'READY', config_update: 'IN_PROGRESS' },
      state_summary: 'Ready on config version 1. Config version 2 is coming up: 0 of 1 served entity is ready.',
      config: { config_version: 1 },
      pending_config: { config_version: 2 },
    })
    opened.registry.entityFailed(id, 2, 'intent-2', 'no memory')
    expect(endpointDetail(opened.registry.getEndpoint('a'), factsOf(opened))).toMatchObject({
      state: { ready: 'READY', config_update: 'UPDATE_FAILED' },
      state_summary: 'Ready on config version 1. The update to config version 2 failed. intent-2: no memory',
      config: { config_version: 1 },
    })
  })

  it('without a configuration is NOT_READY and NOT_UPDATING', () => {
    const opened = openWithModels()
    const detail = endpointDetail(opened.create({ name: 'a' }), factsOf(opened))
    expect(detail).toMatchObject({
      state: { ready: 'NOT_READY', config_update: 'NOT_UPDATING' },
      state_summary: 'Not ready: it has no configuration yet, so there is nothing to serve.',
    })
    for (const field of ['config', 'pending_config', 'task', 'email_notifications', 'budget_policy_id', 'ai_gateway']) {
      expect(detail).not.toHaveProperty(field)
    }
  })

  it('shows what the running system says of an active entity', () => {
    const opened = openWithModels()
    opened.create({ name: 'a', config: one })
    const facts = factsOf(opened, { liveMessage: () => 'Scaled to zero' })
    expect(endpointDetail(opened.bringUp('a'), facts)).toMatchObject({
      state: { ready: 'READY', config_update: 'NOT_UPDATING' },
      state_summary: 'Ready on config version 1 (intent-1: Scaled to zero).',
      config: {
        served_entities: [{ state: { deployment: 'DEPLOYMENT_READY', deployment_state_message: 'Scaled to zero' } }],
      },
    })
  })

  it('has a task where its entities agree on one that the reference knows', () => {
    const opened = openWithModels()
    const embeds = opened.create({ name: 'a', config: { served_entities: [entity('embed', '1')] } })
    const mixed = opened.create({
      name: 'b',
      config: {
        served_entities: [entity('embed', '1'), entity('intent', '1')],
        traffic_config: { routes: [{ served_entity_name: 'embed-1', traffic_percentage: 100 }] },
      },
    })
    const facts = factsOf(opened)
    expect(endpointDetail(embeds, facts).task).toBe('llm/v1/embeddings')
    expect(endpointDetail(mixed, facts)).not.toHaveProperty('task')
  })
})

describe('an endpoint in a list', () => {
  it('shows names and versions of what it serves, and no more of its configuration', () => {
    const opened = openWithModels()
    opened.create({ name: 'a', config: one }, { name: 'robot', kind: 'service_principal', groups: [] })
    const facts = factsOf(opened, { permission: 'CAN_VIEW' })
    const summary = endpointSummary(opened.bringUp('a'), facts)
    expect(summary.config).toEqual({
      served_entities: [{ name: 'intent-1', entity_name: 'intent', entity_version: '1' }],
      served_models: [{ name: 'intent-1', model_name: 'intent', model_version: '1' }],
    })
    expect(summary).toMatchObject({ creator_kind: 'ServicePrincipal', permission_level: 'CAN_VIEW', description: '' })
    for (const field of ['pending_config', 'endpoint_url', 'email_notifications'])
      expect(summary).not.toHaveProperty(field)
  })
})

describe('tags', () => {
  it('are sorted by key, and a key named like a member of every object is a key like any other', () => {
    const opened = openWithModels()
    opened.create({ name: 'a' })
    const tags = [{ key: '__proto__', value: 'x' }, { key: 'b' }, { key: 'a' }, { key: 'toString' }]
    expect(tagList(opened.registry.setTags('a', tags, []))).toEqual([
      { key: '__proto__', value: 'x' },
      { key: 'a' },
      { key: 'b' },
      { key: 'toString' },
    ])
  })
})
