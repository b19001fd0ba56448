/** The state machine of `reference/serving-api.md` §6, step by step. */
import { describe, expect, it } from 'vitest'
import { entity, openWithModels, refusal } from './open-registry.ts'

const one = { served_entities: [entity('intent', '1')] }
const two = {
  served_entities: [entity('intent', '1'), entity('intent', '2')],
  traffic_config: {
    routes: [
      { served_entity_name: 'intent-1', traffic_percentage: 50 },
      { served_entity_name: 'intent-2', traffic_percentage: 50 },
    ],
  },
}

describe('the first deployment', () => {
  it('is pending as version 1 with all entities creating', () => {
    const { create, registry, clock } = openWithModels()
    const endpoint = create({ name: 'a', config: two })
    expect(endpoint).toMatchObject({ active: null, configUpdate: 'IN_PROGRESS', pending: { version: 1 } })
    expect(endpoint.pending?.startedMs).toBe(clock.nowMs)
    expect(endpoint.pending?.servedEntities.map(({ state }) => state)).toEqual([
      'DEPLOYMENT_CREATING',
      'DEPLOYMENT_CREATING',
    ])
    expect(registry.pendingDeployments()).toMatchObject([
      {
        endpointId: endpoint.id,
        endpointName: 'a',
        configVersion: 1,
        entity: { name: 'intent-1' },
        model: { version: '1' },
      },
      {
        endpointId: endpoint.id,
        endpointName: 'a',
        configVersion: 1,
        entity: { name: 'intent-2' },
        model: { version: '2' },
      },
    ])
  })

  it('becomes active with its last entity and not before', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: two })
    expect(registry.entityReady(id, 1, 'intent-2')).toBe(true)
    expect(registry.getEndpoint('a')).toMatchObject({ active: null, configUpdate: 'IN_PROGRESS' })
    expect(registry.pendingDeployments().map((each) => each.entity.name)).toEqual(['intent-1'])
    expect(registry.entityReady(id, 1, 'intent-1')).toBe(true)
    const endpoint = registry.getEndpoint('a')
    expect(endpoint).toMatchObject({ active: { version: 1 }, pending: null, configUpdate: 'NOT_UPDATING' })
    expect(endpoint.active?.servedEntities.map(({ state }) => state)).toEqual(['DEPLOYMENT_READY', 'DEPLOYMENT_READY'])
    expect(registry.pendingDeployments()).toEqual([])
  })

  it('that fails stays to be seen with its message, the other entities aborted', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: two })
    expect(registry.entityFailed(id, 1, 'intent-2', 'No artifact model.onnx.')).toBe(true)
    const endpoint = registry.getEndpoint('a')
    expect(endpoint).toMatchObject({ active: null, configUpdate: 'UPDATE_FAILED', pending: { version: 1 } })
    expect(endpoint.pending?.servedEntities.map(({ state, stateMessage }) => [state, stateMessage])).toEqual([
      ['DEPLOYMENT_ABORTED', 'Stopped because served entity intent-2 failed.'],
      ['DEPLOYMENT_FAILED', 'No artifact model.onnx.'],
    ])
    expect(registry.pendingDeployments()).toEqual([])
    expect(registry.entityReady(id, 1, 'intent-1')).toBe(false)
  })

  it('can be tried again after it failed, under the next version number', () => {
    const { create, update, bringUp, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    registry.entityFailed(id, 1, 'intent-1', 'x')
    expect(
      update('a', { traffic_config: { routes: [{ served_entity_name: 'intent-1', traffic_percentage: 100 }] } }),
    ).toMatchObject({
      configUpdate: 'IN_PROGRESS',
      pending: { version: 2, servedEntities: [{ name: 'intent-1', state: 'DEPLOYMENT_CREATING', stateMessage: '' }] },
    })
    expect(bringUp('a')).toMatchObject({ active: { version: 2 }, pending: null })
  })
})

describe('an update', () => {
  function ready() {
    const opened = openWithModels()
    const { id } = opened.create({ name: 'a', config: one })
    opened.bringUp('a')
    return { ...opened, id }
  }

  it('leaves the old configuration serving until the new one is up, then swaps', () => {
    const { update, registry, id } = ready()
    const before = registry.getEndpoint('a').active
    const updating = update('a', two)
    expect(updating).toMatchObject({ configUpdate: 'IN_PROGRESS', pending: { version: 2 } })
    expect(updating.active).toEqual(before)
    registry.entityReady(id, 2, 'intent-1')
    expect(registry.getEndpoint('a').active).toEqual(before)
    registry.entityReady(id, 2, 'intent-2')
    expect(registry.getEndpoint('a')).toMatchObject({
      active: { version: 2 },
      pending: null,
      configUpdate: 'NOT_UPDATING',
    })
  })

  it('during another is refused with 409 RESOURCE_CONFLICT', () => {
    const { update } = ready()
    update('a', two)
    expect(refusal(() => update('a', one))).toEqual({
      status: 409,
      code: 'RESOURCE_CONFLICT',
      message: 'Serving endpoint a is being updated to config version 2; update it again once that has ended.',
    })
  })

  it('that fails leaves the old configuration serving', () => {
    const { update, registry, id } = ready()
    const before = registry.getEndpoint('a').active
    update('a', two)
    registry.entityReady(id, 2, 'intent-1')
    registry.entityFailed(id, 2, 'intent-2', 'no memory')
    const failed = registry.getEndpoint('a')
    expect(failed.active).toEqual(before)
    expect(failed).toMatchObject({ configUpdate: 'UPDATE_FAILED', pending: { version: 2 } })
    expect(failed.pending?.servedEntities.map(({ state }) => state)).toEqual(['DEPLOYMENT_READY', 'DEPLOYMENT_FAILED'])
  })

  it('after a failed one drops what failed', () => {
    const { update, registry, id, bringUp } = ready()
    update('a', two)
    registry.entityFailed(id, 2, 'intent-2', 'no memory')
    expect(update('a', one)).toMatchObject({
      configUpdate: 'IN_PROGRESS',
      active: { version: 1 },
      pending: { version: 3 },
    })
    expect(bringUp('a')).toMatchObject({ active: { version: 3 }, pending: null })
    registry.deleteVersion('intent', '2')
  })

  it('sets the time of the last change; a deployment that ends does not', () => {
    const { update, registry, id, clock } = ready()
    clock.nowMs += 10
    expect(update('a', two).updatedMs).toBe(clock.nowMs)
    clock.nowMs += 10
    registry.entityFailed(id, 2, 'intent-2', 'x')
    expect(registry.getEndpoint('a').updatedMs).toBe(clock.nowMs - 10)
  })
})

describe('news about a deployment', () => {
  it.each<[string, (id: string) => readonly [string, number, string]]>([
    ['another config version', (id: string) => [id, 7, 'intent-1'] as const],
    ['another entity', (id: string) => [id, 1, 'other'] as const],
    ['another endpoint', () => ['f'.repeat(32), 1, 'intent-1'] as const],
  ])('is ignored for %s', (_what, key) => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    const revision = registry.revision()
    expect(registry.entityReady(...key(id))).toBe(false)
    expect(registry.entityFailed(...key(id), 'x')).toBe(false)
    expect(registry.revision()).toBe(revision)
    expect(registry.getEndpoint('a').configUpdate).toBe('IN_PROGRESS')
  })

  it('is ignored when it comes twice, or after the swap', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: two })
    registry.entityReady(id, 1, 'intent-1')
    const revision = registry.revision()
    expect(registry.entityReady(id, 1, 'intent-1')).toBe(false)
    expect(registry.entityFailed(id, 1, 'intent-1', 'late')).toBe(false)
    expect(registry.revision()).toBe(revision)
    registry.entityReady(id, 1, 'intent-2')
    expect(registry.entityFailed(id, 1, 'intent-2', 'late')).toBe(false)
  })

  it('of a deleted endpoint does not reach its successor of the same name', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    registry.deleteEndpoint('a')
    create({ name: 'a', config: one })
    expect(registry.entityReady(id, 1, 'intent-1')).toBe(false)
    expect(registry.getEndpoint('a').configUpdate).toBe('IN_PROGRESS')
  })
})

describe('deleting an endpoint', () => {
  it('takes everything of it along, at any stage', () => {
    const { create, update, bringUp, registry, database } = openWithModels()
    const { id } = create({ name: 'a', config: one, tags: [{ key: 'k' }] })
    bringUp('a')
    update('a', two)
    registry.setGrants(id, [{ kind: 'user_name', name: 'x', level: 'CAN_VIEW' }])
    registry.appendBuildLog(id, 2, 'intent-2', 'line')
    registry.deleteEndpoint('a')
    for (const table of ['endpoints', 'endpoint_configs', 'served_entities', 'tags', 'grants', 'build_logs']) {
      expect(database.exec(`SELECT * FROM ${table}`), table).toEqual([])
    }
    expect(refusal(() => registry.deleteEndpoint('a')).message).toBe('Serving endpoint with name a not found')
    expect(refusal(() => registry.getEndpointById(id)).message).toBe(`Serving endpoint with id ${id} not found`)
  })
})

describe('build logs', () => {
  it('read back line by line with their time', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    registry.appendBuildLog(id, 1, 'intent-1', 'reading\nloading')
    expect(registry.buildLog('a', 'intent-1')).toBe(
      '2023-11-14T22:13:20.000Z reading\n2023-11-14T22:13:20.000Z loading\n',
    )
  })

  it('are of the newest configuration that has the entity', () => {
    const { create, update, bringUp, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    registry.appendBuildLog(id, 1, 'intent-1', 'first')
    bringUp('a')
    expect(registry.buildLog('a', 'intent-1')).toContain('first')
    update('a', two)
    registry.appendBuildLog(id, 2, 'intent-1', 'second')
    expect(registry.buildLog('a', 'intent-1')).not.toContain('first')
    expect(registry.buildLog('a', 'intent-1')).toContain('second')
    expect(registry.buildLog('a', 'intent-2')).toBe('')
  })

  it('keep their newest 1000 lines', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    registry.appendBuildLog(id, 1, 'intent-1', Array.from({ length: 1_500 }, (_, line) => `line ${line}`).join('\n'))
    const lines = registry.buildLog('a', 'intent-1').trimEnd().split('\n')
    expect(lines).toHaveLength(1_000)
    expect(lines[0]).toMatch(/line 500$/)
  })

  it('leave the revision alone, and lines for a configuration that is gone are dropped', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a', config: one })
    const revision = registry.revision()
    registry.appendBuildLog(id, 1, 'intent-1', 'x')
    registry.appendBuildLog(id, 9, 'intent-1', 'x')
    registry.appendBuildLog('gone', 1, 'intent-1', 'x')
    expect(registry.revision()).toBe(revision)
    expect(refusal(() => registry.buildLog('a', 'other'))).toMatchObject({
      status: 404,
      message: 'Serving endpoint a has no served entity other',
    })
  })
})
