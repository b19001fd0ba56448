/** The traffic split: which served entity answers, by weights in percent. */
import { unavailable } from '#contracts/errors.ts'
import type { EndpointConfig, ServedEntity } from '#contracts/registry.ts'

/** @param random a number from 0 up to but not including 1. */
export function splitTraffic(config: EndpointConfig, random: number): ServedEntity {
  let rest = random * 100
  for (const route of config.routes) {
    rest -= route.trafficPercentage
    if (rest < 0) {
      const entity = config.servedEntities.find((candidate) => candidate.name === route.servedEntityName)
      if (entity) return entity
    }
  }
  throw unavailable('No route of the endpoint takes traffic.', 1)
}
