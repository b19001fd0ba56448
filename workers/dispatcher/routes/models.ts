/** Models: upload of their bytes, import, versions, aliases (`docs/wire-protocol.md`, "Models"). */
import * as z from 'zod'
import type { Capabilities } from '#contracts/capabilities.ts'
import { doesNotExist, isServingError, permissionDenied } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { digestSchema } from '#contracts/manifest.ts'
import { parseBody } from '#contracts/parse.ts'
import { isAdmin, type ModelVersion, type RegisteredModel } from '#contracts/registry.ts'
import { readBytes } from '#src/gateway/read-body.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, json } from '../call.ts'
import { importModel, importSchema } from '../import-model.ts'

export async function putBlob(call: Call): Promise<Response> {
  const digest = parseBody(digestSchema, call.params.digest, 'digest')
  await call.services.host.putBlob(digest, await readBytes(call.request, limits.maxShardBytes, 'A shard'))
  return json({})
}

export async function missingBlobs(call: Call): Promise<Response> {
  return json(await call.services.host.missingBlobs(await jsonBody(call, limits.requestBytes)))
}

export async function postImport(call: Call): Promise<Response> {
  const body = parseBody(importSchema, await jsonBody(call, limits.requestBytes))
  await requireOwner(call, body.name)
  return json(versionView(await importModel(body, call)))
}

export async function listModels(call: Call): Promise<Response> {
  return json({ models: (await call.services.registry.listModels()).map(modelView) })
}

export async function getModel(call: Call): Promise<Response> {
  const { registry } = call.services
  const model = await registry.getModel(call.params.name!)
  return json({ ...modelView(model), model_versions: (await registry.listVersions(model.name)).map(versionView) })
}

/** POST …/models/gc: deletes the stored bytes that no registered version needs. */
export async function collectGarbage({ principal, services }: Call): Promise<Response> {
  if (!isAdmin(principal)) throw permissionDenied('Only administrators collect garbage.')
  const models = await services.registry.listModels()
  const versions = await Promise.all(models.map(({ name }) => services.registry.listVersions(name)))
  const { deleted, freedBytes, heldBytes } = await services.host.collect(
    versions.flat().map(({ manifest }) => manifest),
  )
  return json({ deleted, freed_bytes: freedBytes, held_bytes: heldBytes })
}

export async function getVersion(call: Call): Promise<Response> {
  const version = await call.services.registry.getVersion(call.params.name!, call.params.version!)
  const { storedBytes, fetching } = await call.services.host.stored(version.manifest)
  return json({ ...versionView(version), stored_bytes: storedBytes, fetching })
}

export async function deleteModel(call: Call): Promise<Response> {
  await requireOwner(call, call.params.name!)
  await call.services.registry.deleteModel(call.params.name!)
  return json({})
}

export async function deleteVersion(call: Call): Promise<Response> {
  await requireOwner(call, call.params.name!)
  await call.services.registry.deleteVersion(call.params.name!, call.params.version!)
  return json({})
}

const aliasSchema = z.object({ version: z.union([z.string(), z.number().int().transform(String)]) })

export async function putAlias(call: Call): Promise<Response> {
  const { name, alias } = call.params
  await requireOwner(call, name!)
  const { version } = parseBody(aliasSchema, await jsonBody(call))
  await call.services.registry.setAlias(name!, alias!, version)
  return json({ alias_name: alias, version })
}

export async function deleteAlias(call: Call): Promise<Response> {
  await requireOwner(call, call.params.name!)
  await call.services.registry.deleteAlias(call.params.name!, call.params.alias!)
  return json({})
}

/** The names of the installed starter endpoints, which `/health` then waits for. */
export async function putStarters(call: Call): Promise<Response> {
  if (!isAdmin(call.principal)) throw permissionDenied('Only administrators install starter endpoints.')
  const { names } = parseBody(z.object({ names: z.array(z.string()).max(64) }), await jsonBody(call))
  await call.services.registry.setStarters(names)
  return json({ names })
}

export async function getStarters(call: Call): Promise<Response> {
  return json({ names: await call.services.registry.starters() })
}

/** A model belongs to who registered it; a name that nobody has is free. */
async function requireOwner({ services, principal }: Call, name: string): Promise<void> {
  if (isAdmin(principal)) return
  const model = await services.registry.getModel(name).catch((error: unknown) => {
    if (isServingError(error) && error.status === doesNotExist('').status) return undefined
    throw error
  })
  if (model && model.creator !== principal.name) throw permissionDenied(`Model ${name} belongs to ${model.creator}.`)
}

function modelView(model: RegisteredModel) {
  return {
    name: model.name,
    comment: model.comment,
    creator: model.creator,
    creation_timestamp: model.createdMs,
    last_updated_timestamp: model.updatedMs,
    versions: model.versions,
    aliases: model.aliases,
  }
}

function versionView(version: ModelVersion) {
  return {
    name: version.name,
    version: version.version,
    task: version.task,
    graph: version.graph,
    manifest: version.manifest,
    size_bytes: version.sizeBytes,
    heap_bytes: version.heapBytes,
    capabilities: version.capabilities ? capabilitiesView(version.capabilities) : null,
    signature: version.signature,
    input_example: version.inputExample,
    options: version.options,
    source: version.source,
    comment: version.comment,
    creator: version.creator,
    creation_timestamp: version.createdMs,
  }
}

function capabilitiesView({ maxTokens, maxBatch, batchInvariant, devices, memoryBytes }: Capabilities) {
  return {
    max_tokens: maxTokens,
    max_batch: maxBatch,
    batch_invariant: batchInvariant,
    devices,
    memory_bytes: memoryBytes,
  }
}
