/** The spec of the entity to run travels in one header, so that the body stays the invocation's frame. */
import { type Bundle, endpointSpecSchema } from '#contracts/bundle.ts'
import { badRequest } from '#contracts/errors.ts'
import { compile } from '#src/compiler/compile.ts'
import { templates } from './templates.ts'

/** Compiled bundles by header text; bounded, because specs come from a registry that may be large. */
const bundles = new Map<string, Promise<Bundle>>()
const mostBundles = 2_000

/** @throws {ServingError} 400 on a missing or malformed header. */
export async function bundleOf(headers: Headers): Promise<Bundle> {
  const text = headers.get('x-glim-spec')
  if (text === null) throw badRequest('The header x-glim-spec is missing.')
  let bundle = bundles.get(text)
  if (!bundle) {
    const spec = endpointSpecSchema.safeParse(JSON.parse(decodeURIComponent(text)))
    if (!spec.success) throw badRequest(`The header x-glim-spec is not a spec: ${spec.error.message}`)
    if (bundles.size >= mostBundles) bundles.delete(bundles.keys().next().value!)
    bundle = compile(spec.data, templates)
    bundles.set(text, bundle)
  }
  return bundle
}
