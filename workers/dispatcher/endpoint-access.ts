/** From a name to an endpoint that the caller may use in the way it asks for. */
import { doesNotExist, permissionDenied } from '#contracts/errors.ts'
import type { Endpoint, PermissionLevel } from '#contracts/registry.ts'
import { permissionOf, permits } from '#src/registry/permission-view.ts'
import type { Call } from './call.ts'

/** @throws {ServingError} 404 where there is none, 403 where the caller lacks the level. */
export function endpointFor(call: Call, name: string, needed: PermissionLevel): Endpoint {
  const endpoint = call.view.endpoints.get(name)
  if (!endpoint) {
    const invoking = needed === 'CAN_QUERY'
    throw doesNotExist(
      invoking
        ? `The given endpoint does not exist, please retry after checking the specified model and version deployment exists: ${name}.`
        : `Serving endpoint with name ${name} not found`,
    )
  }
  requireLevel(call, endpoint, needed)
  return endpoint
}

export function requireLevel({ principal }: Call, endpoint: Endpoint, needed: PermissionLevel): void {
  const has = permissionOf(endpoint, principal)
  if (permits(has, needed)) return
  throw permissionDenied(
    `${principal.name} needs ${needed} on serving endpoint ${endpoint.name} and has ${has ?? 'no permission'}.`,
  )
}
