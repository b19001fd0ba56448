/**
 * From method and path to a line of the route table. itty-router compiles the patterns; they are matched here, because its own
 * `fetch` parses the URL once more and lists the query parameters of every request, which is a tenth of what a whole request
 * may cost the dispatcher.
 */
import { type IRequest, Router } from 'itty-router'
import type { Route } from './call.ts'
import { routes } from './routes.ts'

const router = Router<IRequest>()
for (const route of routes) router.all(route.path, () => undefined)
const table = routes.map((route, index) => ({ route, pattern: router.routes[index]![1] }))

export interface RouteMatch {
  route: Route
  /** As they stand in the path, still percent-encoded. */
  params: Readonly<Record<string, string>>
}

export function matchRoute(method: string, path: string): RouteMatch | undefined {
  for (const { route, pattern } of table) {
    if (route.method !== method) continue
    const found = pattern.exec(path)
    if (found) return { route, params: found.groups ?? {} }
  }
  return undefined
}

/** Every route that has the path, whatever its method. */
export function routesAt(path: string): Route[] {
  return table.filter(({ pattern }) => pattern.test(path)).map(({ route }) => route)
}

/** The path of a request's URL, without the cost of parsing all of it. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start < 0) return '/'
  const end = url.slice(start).search(/[?#]/)
  return end < 0 ? url.slice(start) : url.slice(start, start + end)
}
