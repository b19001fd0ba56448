import { describe, expect, it } from 'vitest'
import type { EndpointConfig, ServedEntity } from '#contracts/registry.ts'
import { splitTraffic } from '#src/policies/split.ts'

const entity = (name: string) => ({ name }) as ServedEntity
const config: EndpointConfig = {
  version: 1,
  startedMs: 0,
  servedEntities: [entity('a'), entity('b'), entity('silent')],
  routes: [
    { servedEntityName: 'a', trafficPercentage: 30 },
    { servedEntityName: 'silent', trafficPercentage: 0 },
    { servedEntityName: 'b', trafficPercentage: 70 },
  ],
}

describe('the traffic split', () => {
  it.each([
    [0, 'a'],
    [0.2999, 'a'],
    [0.3, 'b'],
    [0.9999, 'b'],
  ])('at %f chooses %s', (random, name) => {
    expect(splitTraffic(config, random).name).toBe(name)
  })

  it('never chooses a route of 0 %', () => {
    const chosen = Array.from({ length: 1_000 }, (_, at) => splitTraffic(config, at / 1_000).name)
    expect(chosen).not.toContain('silent')
    expect(chosen.filter((name) => name === 'a')).toHaveLength(300)
  })
})
