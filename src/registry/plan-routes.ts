/** The traffic split of a configuration: as given, or kept, or, for a single entity, all of it. */
import { invalidParameter } from '#contracts/errors.ts'
import { shown } from '#contracts/parse.ts'
import type { EndpointConfig, Route, ServedEntity } from '#contracts/registry.ts'

interface RouteBody {
  served_entity_name?: string | undefined
  served_model_name?: string | undefined
  traffic_percentage: number
}

/** @throws {ServingError} 400 naming the route at fault. */
export function planRoutes(
  given: readonly RouteBody[] | undefined,
  entities: readonly ServedEntity[],
  base: EndpointConfig | null,
  at: string,
): readonly Route[] {
  const names = entities.map((entity) => entity.name)
  if (given?.length) return checkedRoutes(given, names, `${at}traffic_config.routes`)
  if (base && sameNames(names, base)) return base.routes
  const [only, ...others] = names
  if (only !== undefined && others.length === 0) return [{ servedEntityName: only, trafficPercentage: 100 }]
  throw invalidParameter(
    `${at}traffic_config`,
    `is missing; it must say how the ${names.length} served entities share the traffic`,
  )
}

/** A split is kept only if it was made for the same entities: a newcomer without a share is rarely what was meant. */
function sameNames(names: readonly string[], base: EndpointConfig): boolean {
  const before = new Set(base.servedEntities.map((entity) => entity.name))
  return before.size === names.length && names.every((name) => before.has(name))
}

function checkedRoutes(given: readonly RouteBody[], names: readonly string[], at: string): Route[] {
  const routes = given.map((route, index) => ({
    servedEntityName: routeName(route, names, `${at}[${index}]`),
    trafficPercentage: route.traffic_percentage,
  }))
  for (const [index, { servedEntityName: name }] of routes.entries()) {
    if (routes.findIndex((route) => route.servedEntityName === name) < index) {
      throw invalidParameter(`${at}[${index}].served_entity_name`, `${shown(name)} has a route already`)
    }
  }
  const total = routes.reduce((sum, route) => sum + route.trafficPercentage, 0)
  if (total !== 100) throw invalidParameter(at, `the traffic percentages must sum to 100; they sum to ${total}`)
  return routes
}

function routeName(route: RouteBody, names: readonly string[], at: string): string {
  const { served_entity_name: entity, served_model_name: model } = route
  const field = `${at}.${entity === undefined && model !== undefined ? 'served_model_name' : 'served_entity_name'}`
  if (entity !== undefined && model !== undefined && entity !== model) {
    throw invalidParameter(
      field,
      `${shown(entity)} differs from served_model_name, ${shown(model)}; both name one entity`,
    )
  }
  const name = entity ?? model
  if (name === undefined) throw invalidParameter(field, 'is missing; expected the name of a served entity')
  if (!names.includes(name)) {
    throw invalidParameter(field, `expected the name of a served entity (${names.join(', ')}), ${shown(name)} came`)
  }
  return name
}
