/** One request on its way through the dispatcher, and what a route's handler may use. */
import type { Principal } from '#contracts/registry.ts'
import type { Dialect } from '#src/gateway/error-body.ts'
import type { RegistryView } from '#src/gateway/registry-view.ts'
import type { Services } from './services.ts'

export interface PublicCall {
  request: Request
  /** The URL's path, as it came. */
  path: string
  requestId: string
  /** Path parameters, decoded. */
  params: Readonly<Record<string, string>>
  services: Services
  view: RegistryView
  /** Keeps the isolate at work beyond the reply. */
  ctx: ExecutionContext
  /** Whether the reply was made with the request's id. */
  isIdentified: boolean
}

export interface Call extends PublicCall {
  principal: Principal
}

interface RouteShape {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
  /** itty-router's pattern; every parameter is one segment. */
  path: string
  /** The shape of this route's errors. */
  dialect: Dialect
}

export type Route =
  | (RouteShape & { access: 'public'; handle(call: PublicCall): Response | Promise<Response> })
  | (RouteShape & { access: 'token'; handle(call: Call): Response | Promise<Response> })

/** Where the caller reached us, such as `http://127.0.0.1:8787`. */
export function originOf({ request }: Pick<PublicCall, 'request'>): string {
  return new URL(request.url).origin
}

/** JSON with the status that successful native calls have, create too. */
export function json(value: unknown, headers: Record<string, string> = {}): Response {
  return Response.json(value, { headers })
}

/** The same with the request's id from the start: to set a header of a finished reply costs a tenth of what a request costs. */
export function identifiedJson(call: PublicCall, value: unknown, headers: Record<string, string>): Response {
  call.isIdentified = true
  return json(value, { ...headers, 'x-request-id': call.requestId })
}
