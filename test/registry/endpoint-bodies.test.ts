/** What create and update accept and refuse: `reference/serving-api.md` §2–§5. */
import { describe, expect, it } from 'vitest'
import { ada, entity, openWithModels, refusal } from './open-registry.ts'

const one = { served_entities: [entity('intent', '1')] }
const two = { served_entities: [entity('intent', '1'), entity('intent', '2')] }
const split = (first: number, second: number) => ({
  routes: [
    { served_entity_name: 'intent-1', traffic_percentage: first },
    { served_entity_name: 'intent-2', traffic_percentage: second },
  ],
})

function refusedCreate(body: Record<string, unknown>) {
  const { create, registry } = openWithModels()
  const revision = registry.revision()
  const refused = refusal(() => create({ name: 'a', ...body }))
  expect(registry.listEndpoints()).toEqual([])
  expect(registry.revision()).toBe(revision)
  return refused
}

describe('creating an endpoint', () => {
  it('without a configuration is legal: not ready, nothing to serve', () => {
    const { create, registry } = openWithModels()
    for (const [index, config] of [undefined, null, {}, { served_entities: [] }].entries()) {
      const endpoint = create({ name: `a${index}`, config })
      expect(endpoint).toMatchObject({ active: null, pending: null, configUpdate: 'NOT_UPDATING' })
    }
    expect(registry.pendingDeployments()).toEqual([])
  })

  it('gives all traffic to the only entity, named after model and version', () => {
    const { create } = openWithModels()
    const { pending } = create({ name: 'a', config: { served_entities: [entity('main.ads.ads-model', '3')] } })
    expect(pending?.servedEntities[0]?.name).toBe('ads-model-3')
    expect(pending?.routes).toEqual([{ servedEntityName: 'ads-model-3', trafficPercentage: 100 }])
  })

  it('keeps description, tags, notifications, budget policy and route optimisation', () => {
    const { create, clock } = openWithModels()
    const email = { on_update_success: ['a@b.c'], on_update_failure: [] }
    const endpoint = create({
      name: 'a',
      description: 'words',
      tags: [{ key: 'team', value: 'x' }, { key: 'bare' }],
      email_notifications: email,
      budget_policy_id: 'p',
      route_optimized: true,
    })
    expect(endpoint).toMatchObject({
      creator: ada.name,
      creatorKind: 'user',
      createdMs: clock.nowMs,
      updatedMs: clock.nowMs,
      description: 'words',
      tags: { bare: undefined, team: 'x' },
      emailNotifications: email,
      budgetPolicyId: 'p',
      routeOptimized: true,
    })
    expect(endpoint.id).toMatch(/^[0-9a-f]{32}$/)
  })

  it('accepts the deprecated served_models form', () => {
    const { create } = openWithModels()
    const { pending } = create({
      name: 'a',
      config: {
        served_models: [{ model_name: 'intent', model_version: '2', workload_size: 'Small' }],
        traffic_config: { routes: [{ served_model_name: 'intent-2', traffic_percentage: 100 }] },
      },
    })
    expect(pending?.servedEntities[0]).toMatchObject({ entityName: 'intent', entityVersion: '2' })
    expect(pending?.routes).toEqual([{ servedEntityName: 'intent-2', trafficPercentage: 100 }])
  })

  it('takes null for absent, ignores unknown fields, and reads a version given as a number', () => {
    const { create } = openWithModels()
    const { pending } = create({
      name: 'a',
      future: 1,
      tags: null,
      ai_gateway: {},
      config: {
        name: 'a',
        served_models: null,
        served_entities: [{ ...entity('intent', '1'), entity_version: 2, x: 1 }],
      },
    })
    expect(pending?.servedEntities[0]).toMatchObject({ name: 'intent-2', echo: {} })
  })

  it('accepts routes of 0 %, and entities without a route', () => {
    const { create } = openWithModels()
    create({ name: 'a', config: { ...two, traffic_config: split(100, 0) } })
    const routes = [{ served_entity_name: 'intent-2', traffic_percentage: 100 }]
    expect(create({ name: 'b', config: { ...two, traffic_config: { routes } } }).pending?.routes).toHaveLength(1)
  })

  it('echoes what an entity was given, explicit false and 0 too, and adds nothing', () => {
    const { create } = openWithModels()
    const given = {
      workload_type: 'CPU',
      scale_to_zero_enabled: false,
      min_provisioned_concurrency: 0,
      max_provisioned_concurrency: 4,
      min_provisioned_throughput: 0,
      environment_vars: { A: 'b' },
    }
    const { pending } = create({ name: 'a', config: { served_entities: [entity('intent', '1', given)] } })
    expect(pending?.servedEntities[0]).toMatchObject({ echo: given, scaleToZero: false })
    const plain = create({ name: 'b', config: one }).pending?.servedEntities[0]
    expect(plain?.echo).toEqual({})
    expect(plain?.scaleToZero).toBe(true)
  })

  it('with a name that is taken is refused', () => {
    const { create } = openWithModels()
    create({ name: 'a' })
    expect(refusal(() => create({ name: 'a' }))).toEqual({
      status: 409,
      code: 'RESOURCE_ALREADY_EXISTS',
      message: 'Serving endpoint with name a already exists',
    })
  })

  it.each(['', 'a b', 'a/b', 'a.b', 'é', 'x'.repeat(64)])('with the name %j is refused', (name) => {
    const refused = refusedCreate({ name })
    expect(refused).toMatchObject({ status: 400, code: 'INVALID_PARAMETER_VALUE', field: 'name' })
    expect(refused.message).toMatch(/expected 1 to 63 letters, digits, "-" or "_"/)
  })

  it('accepts names of 1 and of 63 characters', () => {
    const { create } = openWithModels()
    create({ name: 'a' })
    create({ name: 'A-_9'.padEnd(63, 'z') })
  })
})

describe('a configuration is refused', () => {
  const eleven = Array.from({ length: 11 }, (_, index) => entity('intent', '1', { name: `e${index}` }))
  const manyVars = Object.fromEntries(Array.from({ length: 31 }, (_, index) => [`V${index}`, 'x']))
  const route = (name: string, percent: number) => ({ served_entity_name: name, traffic_percentage: percent })

  it.each([
    ['unknown model', { served_entities: [entity('ghost', '1')] }, 404, 'Model ghost does not exist.'],
    [
      'unknown version',
      { served_entities: [entity('intent', '9')] },
      404,
      'Model intent has no version 9 (it has 1, 2).',
    ],
    [
      'missing version',
      { served_entities: [{ entity_name: 'intent' }] },
      400,
      'config.served_entities[0].entity_version: is missing; expected a version of model intent (it has 1, 2)',
    ],
    [
      'missing name',
      { served_models: [{ model_version: '1' }] },
      400,
      'config.served_models[0].model_name: is missing; expected the name of a registered model',
    ],
    [
      'both forms',
      { ...one, served_models: [{ model_name: 'intent', model_version: '1' }] },
      400,
      'config.served_models: Cannot use both served_models and served_entities',
    ],
    [
      'too many entities',
      { served_entities: eleven },
      400,
      'config.served_entities: expected at most 10 entries, 11 came',
    ],
    [
      'two entities of one name',
      { served_entities: [entity('intent', '1'), entity('intent', '1')] },
      400,
      'config.served_entities[1].name: "intent-1" is used twice; served entity names are unique within an endpoint',
    ],
    [
      'bad entity name',
      { served_entities: [entity('intent', '1', { name: 'a.b' })] },
      400,
      'config.served_entities[0].name: expected 1 to 255 letters, digits, "-" or "_", "a.b" came',
    ],
    [
      'no split',
      two,
      400,
      'config.traffic_config: is missing; it must say how the 2 served entities share the traffic',
    ],
    [
      'split that is not 100',
      { ...two, traffic_config: split(50, 40) },
      400,
      'config.traffic_config.routes: the traffic percentages must sum to 100; they sum to 90',
    ],
    [
      'fraction of a percent',
      { ...two, traffic_config: split(99.5, 0.5) },
      400,
      'config.traffic_config.routes[0].traffic_percentage: expected an integer, 99.5 came',
    ],
    [
      'negative percent',
      { ...two, traffic_config: split(101, -1) },
      400,
      'config.traffic_config.routes[0].traffic_percentage: expected at most 100, 101 came',
    ],
    [
      'route to nobody',
      { ...one, traffic_config: { routes: [route('other', 100)] } },
      400,
      'config.traffic_config.routes[0].served_entity_name: expected the name of a served entity (intent-1), "other" came',
    ],
    [
      'route given twice',
      { ...one, traffic_config: { routes: [route('intent-1', 50), route('intent-1', 50)] } },
      400,
      'config.traffic_config.routes[1].served_entity_name: "intent-1" has a route already',
    ],
    [
      'route without a name',
      { ...one, traffic_config: { routes: [{ traffic_percentage: 100 }] } },
      400,
      'config.traffic_config.routes[0].served_entity_name: is missing; expected the name of a served entity',
    ],
    [
      'route with two names',
      { ...one, traffic_config: { routes: [{ ...route('intent-1', 100), served_model_name: 'x' }] } },
      400,
      'config.traffic_config.routes[0].served_entity_name: "intent-1" differs from served_model_name, "x"; both name one entity',
    ],
    [
      'split of nothing',
      { traffic_config: split(50, 50) },
      400,
      'config.traffic_config: there are no served entities to route to',
    ],
    [
      'unknown workload size',
      { served_entities: [entity('intent', '1', { workload_size: 'Tiny' })] },
      400,
      'config.served_entities[0].workload_size: expected "Small", "Medium" or "Large", "Tiny" came',
    ],
    [
      'size and concurrency',
      { served_entities: [entity('intent', '1', { workload_size: 'Small', min_provisioned_concurrency: 0 })] },
      400,
      'config.served_entities[0].workload_size: cannot be used with min_provisioned_concurrency or max_provisioned_concurrency; give one or the other',
    ],
    [
      'concurrency upside down',
      {
        served_entities: [entity('intent', '1', { min_provisioned_concurrency: 8, max_provisioned_concurrency: 4 })],
      },
      400,
      'config.served_entities[0].min_provisioned_concurrency: 8 is more than max_provisioned_concurrency, 4',
    ],
    [
      'too many variables',
      { served_entities: [entity('intent', '1', { environment_vars: manyVars })] },
      400,
      'config.served_entities[0].environment_vars: has 31 variables; at most 30 are allowed',
    ],
  ])('for its %s', (_what, config, status, message) => {
    expect(refusedCreate({ config })).toMatchObject({ status, message })
  })

  it.each([
    ['workload_type', 'TPU'],
    ['scale_to_zero_enabled', 'yes'],
    ['min_provisioned_concurrency', 1.5],
    ['environment_vars', { A: 1 }],
  ])('for %s of %j, naming the field', (field, value) => {
    const refused = refusedCreate({ config: { served_entities: [entity('intent', '1', { [field]: value })] } })
    expect(refused.status).toBe(400)
    expect(refused.field).toContain(`config.served_entities[0].${field}`)
  })
})

describe('what is not built is refused with 501 and its name', () => {
  it.each([
    ['ai_gateway', { ai_gateway: { usage_tracking_config: { enabled: true } } }],
    ['rate_limits', { rate_limits: [{ calls: 1, renewal_period: 'minute' }] }],
    ['telemetry_config', { telemetry_config: { table_names: { logs_table: 'a.b.c' } } }],
    ['uc_system_metrics_export_state', { uc_system_metrics_export_state: 'FIRST_PARTY_EXPORT_ENABLED' }],
    [
      'config.served_entities[0].external_model',
      { config: { served_entities: [{ name: 'x', external_model: { provider: 'openai', name: 'gpt-4o' } }] } },
    ],
    [
      'config.served_entities[0].min_provisioned_throughput',
      { config: { served_entities: [entity('intent', '1', { min_provisioned_throughput: 100 })] } },
    ],
    [
      'config.served_entities[0].provisioned_model_units',
      { config: { served_entities: [entity('intent', '1', { provisioned_model_units: 50 })] } },
    ],
    [
      'config.served_entities[0].environment_vars.KEY',
      { config: { served_entities: [entity('intent', '1', { environment_vars: { KEY: '{{secrets/scope/key}}' } })] } },
    ],
    ['config.auto_capture_config', { config: { ...one, auto_capture_config: { catalog_name: 'c', enabled: true } } }],
  ])('%s', (field, body) => {
    const refused = refusedCreate(body)
    expect(refused).toMatchObject({ status: 501, code: 'NOT_IMPLEMENTED' })
    expect(refused.message).toContain(field)
  })

  it('unless it asks for nothing', () => {
    const { create } = openWithModels()
    const endpoint = create({
      name: 'a',
      ai_gateway: { usage_tracking_config: {}, rate_limits: [] },
      rate_limits: [],
      telemetry_config: {},
      config: { ...one, auto_capture_config: { enabled: false } },
    })
    expect(endpoint.pending?.autoCapture).toEqual({ enabled: false })
  })
})

describe('updating a configuration', () => {
  function readyWithTwo() {
    const opened = openWithModels()
    opened.create({ name: 'a', config: { ...two, traffic_config: split(90, 10) } })
    opened.bringUp('a')
    return opened
  }

  it('of an unknown endpoint is refused', () => {
    const { update } = openWithModels()
    expect(refusal(() => update('a', one))).toEqual({
      status: 404,
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'Serving endpoint with name a not found',
    })
  })

  it('that names nothing is refused', () => {
    const { update } = readyWithTwo()
    for (const body of [{}, { name: 'a' }, { served_entities: [] }, { traffic_config: {} }]) {
      expect(refusal(() => update('a', body)).message).toBe(
        'body: expected at least one of served_entities, served_models, traffic_config, auto_capture_config',
      )
    }
  })

  it('with traffic only keeps the entities with their creation facts', () => {
    const { update, registry, clock } = readyWithTwo()
    const before = registry.getEndpoint('a').active!.servedEntities
    clock.nowMs += 1_000
    const { pending } = update('a', { traffic_config: split(50, 50) })
    expect(pending?.routes.map((route) => route.trafficPercentage)).toEqual([50, 50])
    expect(pending?.servedEntities).toEqual(before.map((each) => ({ ...each, state: 'DEPLOYMENT_CREATING' })))
  })

  it('with entities of the same names keeps the split, and new ones get their own creation facts', () => {
    const { update, clock } = readyWithTwo()
    const createdMs = clock.nowMs
    clock.nowMs += 1_000
    const { pending } = update('a', {
      served_entities: [entity('intent', '2'), entity('embed', '1', { name: 'intent-1' })],
    })
    expect(pending?.routes.map((route) => route.trafficPercentage)).toEqual([90, 10])
    expect(pending?.servedEntities.map((each) => each.createdMs)).toEqual([createdMs, createdMs + 1_000])
  })

  it('with a single entity of another name sends it everything', () => {
    const { update } = readyWithTwo()
    const { pending } = update('a', { served_entities: [entity('embed', '1')] })
    expect(pending?.routes).toEqual([{ servedEntityName: 'embed-1', trafficPercentage: 100 }])
  })

  it('with one of the entities sends it everything', () => {
    const { update } = readyWithTwo()
    const { pending } = update('a', { served_entities: [entity('intent', '2')] })
    expect(pending?.routes).toEqual([{ servedEntityName: 'intent-2', trafficPercentage: 100 }])
  })

  it('with traffic only, after an update that failed, changes the configuration that serves', () => {
    const { update, registry } = readyWithTwo()
    const { id } = update('a', { served_entities: [entity('embed', '1')] })
    registry.entityFailed(id, 2, 'embed-1', 'no memory')
    const { pending } = update('a', { traffic_config: split(20, 80) })
    expect(pending?.servedEntities.map(({ name }) => name)).toEqual(['intent-1', 'intent-2'])
  })

  it('with several entities of other names needs a split', () => {
    const { update } = readyWithTwo()
    const body = { served_entities: [entity('embed', '1'), entity('intent', '1')] }
    expect(refusal(() => update('a', body)).field).toBe('traffic_config')
    const three = { served_entities: [...two.served_entities, entity('embed', '1')] }
    expect(refusal(() => update('a', three)).field).toBe('traffic_config')
  })

  it('with traffic for entities that are not there is refused, without config. in the path', () => {
    const { update } = readyWithTwo()
    const body = { traffic_config: { routes: [{ served_entity_name: 'x', traffic_percentage: 100 }] } }
    expect(refusal(() => update('a', body)).field).toBe('traffic_config.routes[0].served_entity_name')
  })

  it('of an endpoint that never had one needs entities', () => {
    const { create, update } = openWithModels()
    create({ name: 'a' })
    expect(refusal(() => update('a', { traffic_config: split(50, 50) })).field).toBe('traffic_config')
    expect(refusal(() => update('a', { auto_capture_config: { enabled: false } })).field).toBe('served_entities')
    expect(update('a', one).pending?.version).toBe(1)
  })

  it('keeps auto_capture_config until another one comes', () => {
    const { create, update, bringUp } = openWithModels()
    create({ name: 'a', config: { ...one, auto_capture_config: { enabled: false } } })
    bringUp('a')
    expect(update('a', one).pending?.autoCapture).toEqual({ enabled: false })
  })
})

describe('tags and notifications', () => {
  it('adds are applied, then deletes', () => {
    const { create, registry } = openWithModels()
    create({ name: 'a', tags: [{ key: 'z', value: '1' }, { key: 'b' }] })
    const { tags } = registry.setTags(
      'a',
      [{ key: 'a', value: '2' }, { key: 'z', value: '3' }, { key: 'c' }],
      ['c', 'b', 'none'],
    )
    expect(tags).toEqual({ a: '2', z: '3' })
  })

  it('a key given twice, and more than 64 of them, are refused', () => {
    const { create, registry } = openWithModels()
    expect(refusal(() => create({ name: 'a', tags: [{ key: 'k' }, { key: 'k', value: '2' }] })).message).toBe(
      'tags[1].key: "k" is given twice',
    )
    create({ name: 'a', tags: [{ key: 'first' }] })
    const many = Array.from({ length: 64 }, (_, index) => ({ key: `k${index}` }))
    expect(refusal(() => registry.setTags('a', many, [])).message).toBe(
      'add_tags: the endpoint would have 65 tags; at most 64 are allowed',
    )
    expect(Object.keys(registry.getEndpoint('a').tags)).toEqual(['first'])
    expect(Object.keys(registry.setTags('a', many, ['first']).tags)).toHaveLength(64)
  })

  it('are refused for an endpoint that is not there', () => {
    const { registry } = openWithModels()
    expect(refusal(() => registry.setTags('a', [], [])).status).toBe(404)
    expect(refusal(() => registry.setNotifications('a', null)).status).toBe(404)
  })

  it('notifications are replaced', () => {
    const { create, registry } = openWithModels()
    create({ name: 'a' })
    const email = { on_update_failure: ['x@y.z'] }
    expect(registry.setNotifications('a', email).emailNotifications).toEqual(email)
    expect(registry.setNotifications('a', null).emailNotifications).toBeNull()
  })
})
