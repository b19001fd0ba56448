/** Access control lists of endpoints; the paths take the endpoint's id. */
import { doesNotExist } from '#contracts/errors.ts'
import { parseBody } from '#contracts/parse.ts'
import type { Endpoint } from '#contracts/registry.ts'
import { permissionsSchema } from '#src/registry/permission-schema.ts'
import { permissionLevelsView, permissionsView } from '#src/registry/permission-view.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, json } from '../call.ts'
import { requireLevel } from '../endpoint-access.ts'

export function getPermissions(call: Call): Response {
  return json(permissionsView(managed(call)))
}

export function getPermissionLevels(call: Call): Response {
  managed(call)
  return json(permissionLevelsView)
}

/** Replaces all direct grants. */
export async function setPermissions(call: Call): Promise<Response> {
  const { id } = managed(call)
  const grants = parseBody(permissionsSchema, await jsonBody(call))
  return json(permissionsView(await call.services.registry.setGrants(id, grants)))
}

/** Adds to the direct grants. */
export async function updatePermissions(call: Call): Promise<Response> {
  const { id } = managed(call)
  const grants = parseBody(permissionsSchema, await jsonBody(call))
  return json(permissionsView(await call.services.registry.mergeGrants(id, grants)))
}

function managed(call: Call): Endpoint {
  const id = call.params.id!
  const endpoint = [...call.view.endpoints.values()].find((candidate) => candidate.id === id)
  if (!endpoint) throw doesNotExist(`Serving endpoint with id ${id} not found`)
  requireLevel(call, endpoint, 'CAN_MANAGE')
  return endpoint
}
