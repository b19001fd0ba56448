/** What is on disk survives: restarts, newer code, older code, failures half-way. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { migrate } from '#src/registry/migrate.ts'
import { migrations } from '#src/registry/migrations.ts'
import { NodeDatabase } from '#src/registry/stores/node.ts'
import { ada, entity, openRegistry, openWithModels, refusal } from './open-registry.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'glim-registry-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('a registry that is closed and opened again', () => {
  it('is the same, deployments in the middle included', () => {
    const path = join(folder, 'registry.sqlite')
    const first = openWithModels(path)
    first.create({ name: 'a', tags: [{ key: 'k' }], config: { served_entities: [entity('intent', '1')] } })
    first.bringUp('a')
    first.update('a', { served_entities: [entity('intent', '2', { scale_to_zero_enabled: false })] })
    first.create({ name: 'b' })
    first.registry.createToken({ hash: 'a'.repeat(64), principal: ada, comment: '', expiresMs: null })
    first.registry.setAlias('intent', 'champion', '2')
    first.registry.setStarters(['a'])
    const { id } = first.registry.getEndpoint('a')
    first.registry.appendBuildLog(id, 2, 'intent-2', 'half way')
    const before = first.registry.snapshot()
    const pending = first.registry.pendingDeployments()
    first.database.close()

    const second = openRegistry(path)
    expect(second.registry.snapshot()).toEqual(before)
    expect(second.registry.pendingDeployments()).toEqual(pending)
    expect(second.registry.buildLog('a', 'intent-2')).toContain('half way')
    expect(second.registry.getModel('intent').aliases).toEqual({ champion: '2' })
    expect(second.bringUp('a').active?.version).toBe(2)
    second.database.close()
  })

  it('runs no migration twice', () => {
    const path = join(folder, 'registry.sqlite')
    openRegistry(path).database.close()
    const { database, registry } = openRegistry(path)
    expect(database.exec('SELECT step, name FROM migrations')).toHaveLength(migrations.length)
    expect(registry.revision()).toBe(1)
    database.close()
  })
})

describe('migrations', () => {
  const next = { name: 'next', statements: ['CREATE TABLE next (a INTEGER) STRICT', 'INSERT INTO next VALUES (1)'] }

  it('apply only what is new, in order', () => {
    const { database, registry } = openWithModels()
    migrate(database, 5, [...migrations, next])
    expect(database.exec('SELECT a FROM next')).toMatchObject([{ a: 1 }])
    expect(database.exec('SELECT name, applied_ms FROM migrations ORDER BY step').at(-1)).toMatchObject({
      name: 'next',
      applied_ms: 5,
    })
    expect(registry.listModels()).toHaveLength(3)
  })

  it('refuse a database that is newer than the code', () => {
    const path = join(folder, 'registry.sqlite')
    const database = new NodeDatabase(path)
    migrate(database, 0, [...migrations, next])
    database.close()
    expect(refusal(() => openRegistry(path))).toMatchObject({
      status: 500,
      message: `The registry has schema ${migrations.length + 1}, and this glim knows up to ${migrations.length}: a newer glim wrote it. Update glim, or start it on another state folder.`,
    })
  })

  it('refuse a database that took another way', () => {
    const database = new NodeDatabase(':memory:')
    migrate(database, 0, [next])
    expect(refusal(() => migrate(database, 0)).message).toMatch(/^Step 1 of the registry's schema is "next", where/)
  })

  it('that fail half-way leave nothing behind', () => {
    const database = new NodeDatabase(':memory:')
    const broken = { name: 'broken', statements: ['CREATE TABLE half (a INTEGER) STRICT', 'CREATE TABLE half (b)'] }
    expect(() => migrate(database, 0, [next, broken])).toThrow(/already exists/)
    expect(database.exec("SELECT name FROM sqlite_schema WHERE type = 'table'")).toEqual([])
  })
})

describe('a change that is refused half-way', () => {
  it('leaves nothing behind', () => {
    const { create, registry, database } = openWithModels()
    const revision = registry.revision()
    database.exec("CREATE TRIGGER full BEFORE INSERT ON served_entities BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    expect(() => create({ name: 'a', config: { served_entities: [entity('intent', '1')] } })).toThrow(/disk full/)
    expect(registry.listEndpoints()).toEqual([])
    expect(registry.revision()).toBe(revision)
  })
})

describe('the revision', () => {
  it('grows by one with every change and by none with a refusal or a read', () => {
    const { registry, create, update } = openWithModels()
    const changes = [
      () => create({ name: 'a', config: { served_entities: [entity('intent', '1')] } }),
      () => registry.entityReady(registry.getEndpoint('a').id, 1, 'intent-1'),
      () => update('a', { served_entities: [entity('intent', '2')] }),
      () => registry.entityFailed(registry.getEndpoint('a').id, 2, 'intent-2', 'x'),
      () => registry.setTags('a', [{ key: 'k' }], []),
      () => registry.setNotifications('a', {}),
      () => registry.setGrants(registry.getEndpoint('a').id, []),
      () => registry.mergeGrants(registry.getEndpoint('a').id, []),
      () => registry.setAlias('intent', 'x', '1'),
      () => registry.deleteAlias('intent', 'x'),
      () => registry.deleteModel('embed'),
      () => registry.setStarters(['a']),
      () => registry.createToken({ hash: 'b'.repeat(64), principal: ada, comment: '', expiresMs: null }),
      () => registry.revokeToken(registry.listTokens()[0]!.tokenId),
      () => registry.deleteEndpoint('a'),
    ]
    for (const change of changes) {
      const before = registry.revision()
      change()
      expect(registry.revision(), String(change)).toBe(before + 1)
    }
    const before = registry.revision()
    refusal(() => registry.deleteEndpoint('a'))
    registry.snapshot()
    registry.listModels()
    expect(registry.revision()).toBe(before)
  })
})

describe('the snapshot', () => {
  it('holds exactly the versions that endpoints name', () => {
    const { registry, create, bringUp, update } = openWithModels()
    create({ name: 'a', config: { served_entities: [entity('intent', '1')] } })
    bringUp('a')
    update('a', { served_entities: [entity('main.ads.ads-model', '3')] })
    create({ name: 'b', config: { served_entities: [entity('intent', '1')] } })
    expect(Object.keys(registry.snapshot().versions)).toEqual(['intent/1', 'main.ads.ads-model/3'])
    expect(registry.snapshot().versions['intent/1']).toEqual(registry.getVersion('intent', '1'))
    bringUp('a')
    registry.deleteEndpoint('b')
    expect(Object.keys(registry.snapshot().versions)).toEqual(['main.ads.ads-model/3'])
  })

  it('knows the starters once they were set', () => {
    const { registry } = openRegistry()
    expect(registry.snapshot().starters).toBeNull()
    registry.setStarters(['intent', 'embed'])
    registry.setStarters(['intent'])
    expect(registry.snapshot().starters).toEqual(['intent'])
    expect(registry.starters()).toEqual(['intent'])
  })
})
