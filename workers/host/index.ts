/** The host: mounts bundles as isolates, feeds them their weights, and keeps the model cache. Reached by the dispatcher only. */
import { badRequest, isServingError } from '#contracts/errors.ts'
import type { HostEnv } from './env.ts'
import { collect, getArtifact, missingBlobs, putBlob, putManifest, storedBytes } from './model-store.ts'
import { replicaGone } from './replica.ts'
import { replicaState } from './replica-activity.ts'
import { bundleOf, specUnknown } from './spec-header.ts'

export { ModelCache } from './model-cache-object.ts'
export { Replica } from './replica.ts'
export { SnapshotBuilder } from './snapshot-builder.ts'
export { SnapshotSink } from './snapshots.ts'
export { Weights } from './weights.ts'

export default {
  async fetch(request: Request, env: HostEnv): Promise<Response> {
    try {
      return await route(request, env)
    } catch (error) {
      if (isServingError(error)) return Response.json(error, { status: error.status })
      throw error
    }
  },
}

async function route(request: Request, env: HostEnv): Promise<Response> {
  const url = new URL(request.url)
  if (url.pathname.startsWith('/blobs/sha256:')) {
    return putBlob(url.pathname.slice('/blobs/'.length), await request.bytes(), env)
  }
  switch (url.pathname) {
    case '/blobs/missing':
      return missingBlobs(await request.json(), env)
    case '/manifests':
      return putManifest(await request.json(), env)
    case '/stored':
      return storedBytes(url, env)
    case '/collect':
      return collect(await request.json(), env)
    case '/artifacts':
      return getArtifact(url, env)
    case '/state':
      return getState(request)
    case '/run':
    case '/generate':
    case '/describe':
    case '/measure':
    case '/douse':
    case '/retire':
    case '/logs':
      return askReplica(request, env)
    default:
      throw badRequest(`The host has no route ${url.pathname}.`)
  }
}

async function getState({ headers }: Request): Promise<Response> {
  const bundle = await bundleOf(headers)
  return bundle ? Response.json(replicaState(bundle.id)) : specUnknown()
}

async function askReplica(request: Request, env: HostEnv): Promise<Response> {
  const bundle = await bundleOf(request.headers)
  if (!bundle) return specUnknown()
  const { url, method, headers, signal } = request
  const body = await request.arrayBuffer()
  const ask = () => env.REPLICA.getByName(bundle.id).fetch(new Request(url, { method, headers, body, signal }))
  return ask().catch((error: unknown) => {
    if (!(error instanceof Error) || !error.message.includes(replicaGone)) throw error
    return ask()
  })
}
