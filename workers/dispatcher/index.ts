/** The dispatcher: every request comes in here and every reply, error or not, leaves from here. */
import { type IRequest, Router } from 'itty-router'
import { badRequest, doesNotExist, ServingError } from '#contracts/errors.ts'
import { bearerToken, hashToken, principalOf } from '#src/gateway/authenticate.ts'
import { type Dialect, errorResponse } from '#src/gateway/error-body.ts'
import type { PublicCall, Route } from './call.ts'
import type { DispatcherEnv } from './env.ts'
import { requireLocal } from './require-local.ts'
import { routes } from './routes.ts'
import { type Services, servicesOf } from './services.ts'

export { InvocationLogObject } from './invocation-log-object.ts'
export { RegistryObject } from './registry-object.ts'

interface Arrival {
  url: URL
  requestId: string
  services: Services
}

const router = Router<IRequest, [Arrival]>()
for (const route of routes) {
  router[route.method.toLowerCase() as 'get'](route.path, (request, arrival) => answer(route, request, arrival))
}

export default {
  async fetch(request: Request, env: DispatcherEnv, ctx: ExecutionContext): Promise<Response> {
    const requestId = crypto.randomUUID()
    const url = new URL(request.url)
    try {
      if (env.ALLOWED_HOSTS === 'loopback') requireLocal(request.headers)
      const arrival = { url, requestId, services: servicesOf(env, ctx) }
      const response: Response | undefined = await router.fetch(request as unknown as IRequest, arrival)
      return response ?? noRoute(request, url, requestId)
    } catch (error) {
      return failed(error, dialectOf(url.pathname), requestId)
    }
  },
}

async function answer(route: Route, request: IRequest, { url, requestId, services }: Arrival): Promise<Response> {
  try {
    const call: PublicCall = {
      request: request as unknown as Request,
      url,
      requestId,
      params: decoded(request.params, url.pathname),
      services,
      view: await services.views.current(),
    }
    const response =
      route.access === 'public'
        ? await route.handle(call)
        : await route.handle({ ...call, principal: await authenticate(call) })
    response.headers.set('x-request-id', requestId)
    return response
  } catch (error) {
    return failed(error, route.dialect, requestId)
  }
}

async function authenticate({ request, view }: PublicCall) {
  return principalOf(await hashToken(bearerToken(request.headers)), view.tokens, Date.now())
}

function failed(error: unknown, dialect: Dialect, requestId: string): Response {
  if (!(error instanceof ServingError))
    console.error(`request ${requestId}: ${error instanceof Error ? error.stack : error}`)
  return errorResponse(error, dialect, requestId)
}

/** An unknown path, or a known one with another method. */
function noRoute({ method }: Request, { pathname }: URL, requestId: string): Response {
  const allowed = routes.filter((route) => pattern(route.path).test(pathname)).map((route) => route.method)
  if (allowed.length === 0) {
    return errorResponse(
      new ServingError({ ...doesNotExist(`No route ${method} ${pathname}.`).toJSON(), code: 'ENDPOINT_NOT_FOUND' }),
      dialectOf(pathname),
      requestId,
    )
  }
  const message = `${pathname} takes ${allowed.join(', ')}, not ${method}.`
  const response = errorResponse(
    new ServingError({ code: 'BAD_REQUEST', status: 405, message }),
    dialectOf(pathname),
    requestId,
  )
  response.headers.set('allow', allowed.join(', '))
  return response
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}/*$`)
}

/** The dialect of the path's route; of an unknown path, the dialect that it resembles. */
function dialectOf(pathname: string): Dialect {
  const route = routes.find(({ path }) => pattern(path).test(pathname))
  if (route) return route.dialect
  if (pathname.startsWith('/v1/messages')) return 'anthropic'
  if (/^\/v1(\/|$)/.test(pathname)) return 'openai'
  return /^\/v2(\/|$)/.test(pathname) ? 'open-inference' : 'native'
}

function decoded(params: Record<string, string>, pathname: string): Record<string, string> {
  if (!pathname.includes('%')) return params
  try {
    return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, decodeURIComponent(value)]))
  } catch {
    throw badRequest('The path is not valid percent-encoded UTF-8.')
  }
}
