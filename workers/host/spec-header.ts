/**
 * The spec of the entity to run travels in a header, so that the body stays the invocation's frame. It comes once; later calls only name
 * it, because a header of some hundred characters is a twentieth of what a call costs the dispatcher.
 */
import {
  type Bundle,
  endpointSpecSchema,
  specHeader,
  specNameHeader,
  specNameLength,
  specUnknownStatus,
} from '#contracts/bundle.ts'
import { hexOf } from '#contracts/bytes.ts'
import { badRequest } from '#contracts/errors.ts'
import { compile } from '#src/compiler/compile.ts'
import { templates } from './templates.ts'

/** Compiled bundles by the name of their spec; bounded, because specs come from a registry that may be large. */
const bundles = new Map<string, Promise<Bundle>>()
const mostBundles = 2_000

/**
 * Resolves to undefined for a name that was not seen here yet: answer `specUnknown`.
 *
 * @throws {ServingError} 400 on missing or malformed headers.
 */
export async function bundleOf(headers: Headers): Promise<Bundle | undefined> {
  const name = headers.get(specNameHeader)
  if (name === null) throw badRequest(`The header ${specNameHeader} is missing.`)
  const known = bundles.get(name)
  if (known) return known
  const text = headers.get(specHeader)
  if (text === null) return undefined
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  if (!hexOf(new Uint8Array(digest)).startsWith(name) || name.length !== specNameLength)
    throw badRequest(`The header ${specNameHeader} is not the name of the spec beside it.`)
  const bundle = bundleOfSpec(decodeURIComponent(text))
  if (bundles.size >= mostBundles) bundles.delete(bundles.keys().next().value!)
  bundles.set(name, bundle)
  return bundle.catch((error: unknown) => {
    bundles.delete(name)
    throw error
  })
}

/** @param json an `EndpointSpec`. @throws {ServingError} 400 where it is none. */
export async function bundleOfSpec(json: string): Promise<Bundle> {
  const spec = endpointSpecSchema.safeParse(JSON.parse(json))
  if (!spec.success) throw badRequest(`The header ${specHeader} is not a spec: ${spec.error.message}`)
  return compile(spec.data, templates)
}

export function specUnknown(): Response {
  return new Response(null, { status: specUnknownStatus })
}
