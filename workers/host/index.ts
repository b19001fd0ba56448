/** The host: mounts bundles as isolates, feeds them their weights, and keeps the model cache. Reached by the dispatcher only. */
import { badRequest, isServingError } from '#contracts/errors.ts'
import type { HostEnv } from './env.ts'
import { getArtifact, missingBlobs, putBlob, putManifest } from './model-store.ts'
import { bundleOf } from './spec-header.ts'

export { Replica } from './replica.ts'
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
    case '/artifacts':
      return getArtifact(url, env)
    case '/run':
    case '/describe':
    case '/douse':
    case '/state':
    case '/logs': {
      const { id } = await bundleOf(request.headers)
      return env.REPLICA.getByName(id).fetch(request)
    }
    default:
      throw badRequest(`The host has no route ${url.pathname}.`)
  }
}
