/** The dispatcher: every request comes in here and every reply, error or not, leaves from here. */
import { badRequest, doesNotExist, ServingError } from '#contracts/errors.ts'
import { authenticate } from '#src/gateway/authenticate.ts'
import { type Dialect, errorResponse } from '#src/gateway/error-body.ts'
import type { PublicCall } from './call.ts'
import type { DispatcherEnv } from './env.ts'
import { matchRoute, pathOf, type RouteMatch, routesAt } from './match-route.ts'
import { requireLocal } from './require-local.ts'
import { servicesOf } from './services.ts'

export { InvocationLogObject } from './invocation-log-object.ts'
export { RegistryObject } from './registry-object.ts'
export { ResponseStoreObject } from './response-store-object.ts'

export default {
  async fetch(request: Request, env: DispatcherEnv, ctx: ExecutionContext): Promise<Response> {
    const requestId = crypto.randomUUID()
    const path = pathOf(request.url)
    try {
      if (env.ALLOWED_HOSTS === 'loopback') requireLocal(request.headers)
      // HEAD is GET without the body, which load balancers probe with.
      const isHead = request.method === 'HEAD'
      const match = matchRoute(isHead ? 'GET' : request.method, path)
      if (!match) return noRoute(request.method, path, requestId)
      const response = await answer(match, request, path, requestId, env, ctx)
      return isHead ? new Response(null, response) : response
    } catch (error) {
      if (!(error instanceof ServingError)) {
        console.error(`request ${requestId}: ${error instanceof Error ? error.stack : error}`)
      }
      return errorResponse(error, dialectOf(path), requestId)
    }
  },
}

async function answer(
  { route, params }: RouteMatch,
  request: Request,
  path: string,
  requestId: string,
  env: DispatcherEnv,
  ctx: ExecutionContext,
): Promise<Response> {
  const services = servicesOf(env)
  const view = await services.views.current()
  const call: PublicCall = {
    request,
    path,
    requestId,
    params: decoded(params, path),
    services,
    view,
    ctx,
    isIdentified: false,
  }
  let response: Response
  if (route.access === 'public') response = await route.handle(call)
  else {
    const principal = authenticate(request.headers, view.tokens, Date.now())
    response = await route.handle(Object.assign(call, { principal }))
  }
  if (!call.isIdentified) response.headers.set('x-request-id', requestId)
  return response
}

/** An unknown path, or a known one with another method. */
function noRoute(method: string, path: string, requestId: string): Response {
  const allowed = routesAt(path).map((route) => route.method)
  if (allowed.length === 0) {
    const unknown = { ...doesNotExist(`No route ${method} ${path}.`).toJSON(), code: 'ENDPOINT_NOT_FOUND' } as const
    return errorResponse(new ServingError(unknown), dialectOf(path), requestId)
  }
  const message = `${path} takes ${allowed.join(', ')}, not ${method}.`
  const refusal = new ServingError({ code: 'BAD_REQUEST', status: 405, message })
  const response = errorResponse(refusal, dialectOf(path), requestId)
  response.headers.set('allow', allowed.join(', '))
  return response
}

/** The dialect of the path's route; of an unknown path, the dialect that it resembles. */
function dialectOf(path: string): Dialect {
  const [route] = routesAt(path)
  if (route) return route.dialect
  if (path.startsWith('/v1/messages')) return 'anthropic'
  if (/^\/v1(\/|$)/.test(path)) return 'openai'
  return /^\/v2(\/|$)/.test(path) ? 'open-inference' : 'native'
}

function decoded(params: Readonly<Record<string, string>>, path: string): Readonly<Record<string, string>> {
  if (!path.includes('%')) return params
  try {
    return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decodeURIComponent(value)]))
  } catch {
    throw badRequest('The path is not valid percent-encoded UTF-8.')
  }
}
