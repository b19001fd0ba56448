/**
 * The state machine against a model of a few lines, under random calls: creations, updates, deletions, and news about
 * deployments current, finished and long replaced. What the model says must be what the registry shows.
 */
import { describe, expect, it } from 'vitest'
import type { Endpoint, EndpointConfig } from '#contracts/registry.ts'
import { entity, openWithModels } from './open-registry.ts'

type EntityState = 'creating' | 'ready' | 'failed' | 'aborted'

interface ModelEndpoint {
  id: string
  lastVersion: number
  active: number | null
  pending: { version: number; entities: Map<string, EntityState> } | null
  inProgress: boolean
}

const names = ['a', 'b', 'c']
const entityNames = ['intent-1', 'intent-2', 'embed-1']
const configs = [
  { served_entities: [entity('intent', '1')] },
  { served_entities: [entity('embed', '1')] },
  {
    served_entities: [entity('intent', '1'), entity('intent', '2'), entity('embed', '1')],
    traffic_config: { routes: [{ served_entity_name: 'embed-1', traffic_percentage: 100 }] },
  },
]

describe('random deployments', () => {
  it.each(Array.from({ length: 25 }, (_, index) => index + 1))('agree with the model (seed %i)', (seed) => {
    const random = randomFrom(seed)
    const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!
    const opened = openWithModels()
    const { registry } = opened
    const model = new Map<string, ModelEndpoint>()
    const ids = new Set<string>(['f'.repeat(32)])
    let seenRevision = registry.revision()
    let seen: readonly Endpoint[] = []

    for (let step = 0; step < 150; step += 1) {
      const name = pick(names)
      const known = model.get(name)
      const action = random()
      let changed: boolean
      if (action < 0.1) changed = attempt(() => remember(opened.create({ name }), null))
      else if (action < 0.2) {
        const config = pick(configs)
        changed = attempt(() => remember(opened.create({ name, config }), config))
      } else if (action < 0.4) {
        const config = pick(configs)
        changed = attempt(() => opened.update(name, config))
        expect(changed).toBe(known !== undefined && !known.inProgress)
        if (changed) begin(known!, config)
      } else if (action < 0.45) {
        changed = attempt(() => registry.deleteEndpoint(name))
        model.delete(name)
      } else {
        const id = random() < 0.85 && known ? known.id : pick([...ids])
        const version = random() < 0.85 && known?.pending ? known.pending.version : 1 + Math.floor(random() * 6)
        const target = pick(entityNames)
        const succeeded = random() < 0.75
        changed = succeeded
          ? registry.entityReady(id, version, target)
          : registry.entityFailed(id, version, target, `${target} broke`)
        expect(changed).toBe(report(id, version, target, succeeded))
      }
      check(changed)
    }

    function remember(endpoint: Endpoint, config: (typeof configs)[number] | null): void {
      const fresh = { id: endpoint.id, lastVersion: 0, active: null, pending: null, inProgress: false }
      ids.add(endpoint.id)
      model.set(endpoint.name, fresh)
      if (config) begin(fresh, config)
    }

    function begin(endpoint: ModelEndpoint, config: (typeof configs)[number]): void {
      endpoint.lastVersion += 1
      const entities = config.served_entities.map(
        (each) => [`${each.entity_name}-${each.entity_version}`, 'creating'] as const,
      )
      endpoint.pending = { version: endpoint.lastVersion, entities: new Map(entities) }
      endpoint.inProgress = true
    }

    function report(id: string, version: number, target: string, succeeded: boolean): boolean {
      const endpoint = [...model.values()].find((each) => each.id === id)
      if (!endpoint?.inProgress || endpoint.pending?.version !== version) return false
      const { entities } = endpoint.pending
      if (entities.get(target) !== 'creating') return false
      entities.set(target, succeeded ? 'ready' : 'failed')
      if (!succeeded) {
        for (const [other, state] of entities) if (state === 'creating') entities.set(other, 'aborted')
        endpoint.inProgress = false
      } else if ([...entities.values()].every((state) => state === 'ready')) {
        Object.assign(endpoint, { active: version, pending: null, inProgress: false })
      }
      return true
    }

    function check(changed: boolean): void {
      const snapshot = registry.snapshot()
      expect(snapshot.revision).toBe(seenRevision + (changed ? 1 : 0))
      expect(snapshot.endpoints).toEqual(registry.listEndpoints())
      expect(snapshot.endpoints).toEqual([...model.keys()].sort().map((each) => registry.getEndpoint(each)))

      for (const endpoint of snapshot.endpoints) {
        const expected = model.get(endpoint.name)!
        expect(shapeOf(endpoint)).toEqual(expectedShape(expected))
        for (const { entityName, entityVersion } of entitiesOf(endpoint)) {
          expect(snapshot.versions[`${entityName}/${entityVersion}`]).toBeDefined()
        }
        // The active configuration is all ready, and differs from the one before only by being what was pending.
        expect(endpoint.active?.servedEntities.every(({ state }) => state === 'DEPLOYMENT_READY') ?? true).toBe(true)
        const before = seen.find((each) => each.id === endpoint.id)
        if (before?.active?.version !== endpoint.active?.version) {
          expect(withoutStates(endpoint.active)).toEqual(withoutStates(before?.pending ?? null))
        } else if (before) {
          expect(endpoint.active).toEqual(before.active)
        }
      }
      const waiting = [...model.values()].flatMap((each) =>
        each.inProgress
          ? [...each.pending!.entities]
              .filter(([, state]) => state === 'creating')
              .map(([entityName]) => `${each.id} ${entityName}`)
          : [],
      )
      expect(
        registry
          .pendingDeployments()
          .map((each) => `${each.endpointId} ${each.entity.name}`)
          .sort(),
      ).toEqual(waiting.sort())
      seen = snapshot.endpoints
      seenRevision = snapshot.revision
    }
  })
})

function shapeOf({ id, active, pending, configUpdate }: Endpoint) {
  return {
    id,
    active: active?.version ?? null,
    pending: pending && {
      version: pending.version,
      entities: pending.servedEntities.map((each) => [each.name, each.state.replace('DEPLOYMENT_', '').toLowerCase()]),
    },
    configUpdate,
  }
}

function expectedShape({ id, active, pending, inProgress }: ModelEndpoint) {
  return {
    id,
    active,
    pending: pending && { version: pending.version, entities: [...pending.entities] },
    configUpdate: inProgress ? 'IN_PROGRESS' : pending ? 'UPDATE_FAILED' : 'NOT_UPDATING',
  }
}

function entitiesOf({ active, pending }: Endpoint) {
  return [...(active?.servedEntities ?? []), ...(pending?.servedEntities ?? [])]
}

function withoutStates(config: EndpointConfig | null) {
  return config && { ...config, servedEntities: config.servedEntities.map(({ state, stateMessage, ...rest }) => rest) }
}

/** Whether the call went through; a refusal of ours is an answer, anything else a bug. */
function attempt(body: () => unknown): boolean {
  try {
    body()
    return true
  } catch (error) {
    expect((error as { status?: number }).status).toBeOneOf([404, 409])
    return false
  }
}

/** mulberry32: small, seeded, good enough to shuffle with. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
