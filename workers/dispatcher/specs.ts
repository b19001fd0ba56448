/** What the host is to run for a served entity. */
import type { EndpointSpec } from '#contracts/bundle.ts'
import type { Endpoint, ModelVersion, ServedEntity } from '#contracts/registry.ts'

/** Specs by served entity, so that the host client prints each only once per registry snapshot. */
const specs = new WeakMap<ServedEntity, EndpointSpec>()

export function specOf(endpoint: Endpoint, entity: ServedEntity, version: ModelVersion, idleMs: number): EndpointSpec {
  let spec = specs.get(entity)
  if (!spec) {
    spec = makeSpec(endpoint.id, entity, version, idleMs)
    specs.set(entity, spec)
  }
  return spec
}

export function makeSpec(
  endpointId: string,
  entity: ServedEntity,
  version: ModelVersion,
  idleMs: number,
): EndpointSpec {
  return {
    manifest: version.manifest,
    task: version.task,
    graph: version.graph,
    // Rows share runs where the import found that this changes nothing; the model's own options have the last word.
    options: { ...(version.capabilities?.batchInvariant ? { batchInvariant: true } : {}), ...version.options },
    owner: `${endpointId}/${entity.name}`,
    idleMs: entity.scaleToZero ? idleMs : null,
  }
}
