import { describe, expect, it } from 'vitest'
import { entity, modelVersion, openRegistry, openWithModels, refusal } from './open-registry.ts'

describe('model versions', () => {
  it('count from 1', () => {
    const { registry } = openRegistry()
    expect(registry.registerVersion(modelVersion('intent')).version).toBe('1')
    expect(registry.registerVersion(modelVersion('intent')).version).toBe('2')
    expect(registry.getModel('intent').versions).toEqual(['1', '2'])
  })

  it('count on from an explicit number, in numeric order', () => {
    const { registry } = openRegistry()
    registry.registerVersion(modelVersion('intent', 1, { version: '9' }))
    expect(registry.registerVersion(modelVersion('intent')).version).toBe('10')
    registry.registerVersion(modelVersion('intent', 1, { version: '2' }))
    expect(registry.getModel('intent').versions).toEqual(['2', '9', '10'])
  })

  it('come back as they were registered', () => {
    const { registry, clock } = openRegistry()
    const given = modelVersion('catalog.schema.model', 7, {
      options: { pooling: 'mean', nested: { list: [1, null] } },
      inputExample: { inputs: [['é', 1.5]] },
    })
    registry.registerVersion(given)
    const expected = { ...given, version: '1', createdMs: clock.nowMs }
    expect(registry.getVersion('catalog.schema.model', '1')).toEqual(expected)
    expect(registry.listVersions('catalog.schema.model')).toEqual([expected])
  })

  it('register again without a change when number, bytes, task and options are the same', () => {
    const { registry, clock } = openRegistry()
    const first = registry.registerVersion(modelVersion('intent', 1, { version: '1', options: { a: 1, b: 2 } }))
    const revision = registry.revision()
    clock.nowMs += 5
    const again = registry.registerVersion(
      modelVersion('intent', 1, { version: '1', options: { b: 2, a: 1 }, comment: 'other words' }),
    )
    expect(again).toEqual(first)
    expect(registry.revision()).toBe(revision)
  })

  it.each([
    ['bytes', modelVersion('intent', 2, { version: '1' })],
    ['task', modelVersion('intent', 1, { version: '1', task: 'tensor' })],
    ['options', modelVersion('intent', 1, { version: '1', options: { a: 1 } })],
    ['graph', modelVersion('intent', 1, { version: '1', graph: 'other.onnx' })],
  ])('never change: other %s under the same number are refused', (_what, other) => {
    const { registry } = openRegistry()
    registry.registerVersion(modelVersion('intent', 1))
    expect(refusal(() => registry.registerVersion(other))).toMatchObject({
      status: 409,
      code: 'RESOURCE_ALREADY_EXISTS',
    })
    expect(registry.getVersion('intent', '1').manifest).toBe(modelVersion('intent', 1).manifest)
  })

  it('never come back under the number of a deleted one', () => {
    const { registry } = openWithModels()
    registry.deleteVersion('intent', '2')
    expect(registry.registerVersion(modelVersion('intent', 9)).version).toBe('3')
  })

  it.each(['a.b', 'a.b.c.d', 'a b', 'a/b', '', 'a..c', 'é', 'x'.repeat(256)])('refuse the name %j', (name) => {
    const { registry } = openRegistry()
    expect(refusal(() => registry.registerVersion(modelVersion(name)))).toMatchObject({ status: 400, field: 'name' })
    expect(registry.listModels()).toEqual([])
  })

  it.each(['0', '01', 'v1', '1.5', '-1', ''])('refuse the number %j', (version) => {
    const { registry } = openRegistry()
    const register = () => registry.registerVersion(modelVersion('intent', 1, { version }))
    expect(refusal(register)).toMatchObject({ status: 400, field: 'version' })
  })

  it('that are missing are refused by what there is instead', () => {
    const { registry } = openWithModels()
    expect(refusal(() => registry.getVersion('intent', '9'))).toEqual({
      status: 404,
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'Model intent has no version 9 (it has 1, 2).',
    })
    expect(refusal(() => registry.getVersion('intent', '01')).message).toBe(
      'Model intent has no version 01 (it has 1, 2).',
    )
    expect(refusal(() => registry.getVersion('nothing', '1')).message).toBe('Model nothing does not exist.')
    expect(refusal(() => registry.listVersions('nothing')).status).toBe(404)
  })
})

describe('aliases', () => {
  it('move between versions', () => {
    const { registry } = openWithModels()
    registry.setAlias('intent', 'champion', '1')
    registry.setAlias('intent', 'champion', '2')
    expect(registry.getModel('intent').aliases).toEqual({ champion: '2' })
    registry.deleteAlias('intent', 'champion')
    expect(registry.getModel('intent').aliases).toEqual({})
  })

  it('point at versions that exist', () => {
    const { registry } = openWithModels()
    expect(refusal(() => registry.setAlias('intent', 'champion', '9')).status).toBe(404)
    expect(refusal(() => registry.setAlias('intent', 'a b', '1')).status).toBe(400)
    expect(refusal(() => registry.deleteAlias('intent', 'champion')).message).toBe(
      'Model intent has no alias champion (it has none).',
    )
  })

  it('go with the version they point at', () => {
    const { registry } = openWithModels()
    registry.setAlias('intent', 'champion', '2')
    registry.deleteVersion('intent', '2')
    expect(registry.getModel('intent').aliases).toEqual({})
  })

  it('that move never roll an endpoint', () => {
    const { registry, create, bringUp } = openWithModels()
    registry.setAlias('intent', 'champion', '1')
    create({ name: 'a', config: { served_entities: [{ entity_name: 'intent@champion' }] } })
    bringUp('a')
    registry.setAlias('intent', 'champion', '2')
    expect(registry.getEndpoint('a').active?.servedEntities[0]).toMatchObject({
      name: 'intent-1',
      entityName: 'intent',
      entityVersion: '1',
    })
  })
})

describe('resolve', () => {
  it.each([
    ['intent', '2', 'intent', '2'],
    ['intent/1', undefined, 'intent', '1'],
    ['intent/1', '1', 'intent', '1'],
    ['glim:intent/2', undefined, 'intent', '2'],
    ['intent@champion', undefined, 'intent', '1'],
    ['glim:intent@champion', undefined, 'intent', '1'],
    ['main.ads.ads-model', '3', 'main.ads.ads-model', '3'],
    ['main.ads.ads-model/3', undefined, 'main.ads.ads-model', '3'],
  ])('reads %s with version %s', (entityName, entityVersion, name, version) => {
    const { registry } = openWithModels()
    registry.setAlias('intent', 'champion', '1')
    expect(registry.resolve(entityName, entityVersion)).toMatchObject({ name, version })
  })

  it.each([
    ['intent', undefined, 400, 'entity_version: is missing; expected a version of model intent (it has 1, 2)'],
    ['intent/1', '2', 400, 'entity_version: 2 came, and intent/1 is version 1'],
    ['intent', '9', 404, 'Model intent has no version 9 (it has 1, 2).'],
    ['intent', 'latest', 404, 'Model intent has no version latest (it has 1, 2).'],
    ['intent@old', undefined, 404, 'Model intent has no alias old (it has none).'],
    ['ghost', '1', 404, 'Model ghost does not exist.'],
    ['ghost', undefined, 404, 'Model ghost does not exist.'],
    ['intent/', undefined, 400, 'entity_name: expected a version number such as "1", "" came'],
  ])('refuses %s with version %s: %i %s', (entityName, entityVersion, status, message) => {
    const { registry } = openWithModels()
    expect(refusal(() => registry.resolve(entityName, entityVersion))).toMatchObject({ status, message })
  })
})

describe('deleting models', () => {
  it('takes versions and aliases along', () => {
    const { registry } = openWithModels()
    registry.setAlias('intent', 'champion', '1')
    registry.deleteModel('intent')
    expect(refusal(() => registry.getModel('intent')).status).toBe(404)
    expect(registry.registerVersion(modelVersion('intent', 8)).version).toBe('1')
    expect(registry.getModel('intent').aliases).toEqual({})
  })

  it('is refused while endpoints use it, and they are named', () => {
    const { registry, create } = openWithModels()
    create({ name: 'b', config: { served_entities: [entity('intent', '1')] } })
    create({ name: 'a', config: { served_entities: [entity('intent', '1')] } })
    create({ name: 'c', config: { served_entities: [entity('intent', '2')] } })
    expect(refusal(() => registry.deleteVersion('intent', '1'))).toEqual({
      status: 400,
      code: 'INVALID_STATE',
      message: 'Model intent version 1 is still used by the serving endpoints a, b.',
    })
    expect(refusal(() => registry.deleteModel('intent')).message).toBe(
      'Model intent is still used by the serving endpoints a, b, c.',
    )
    registry.deleteEndpoint('c')
    registry.deleteVersion('intent', '2')
    expect(registry.getModel('intent').versions).toEqual(['1'])
  })
})
