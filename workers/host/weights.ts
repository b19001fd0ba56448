/**
 * The only door out of an endpoint isolate: the artifacts of its own manifest, read-only. The manifest's digest is in the
 * props, which the host sets at mount and the isolate can neither read nor change, so no path names another version's bytes.
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { isServingError } from '#contracts/errors.ts'
import type { Digest } from '#contracts/manifest.ts'
import { readManifest } from '#model-cache/manifest.ts'
import { streamArtifact, withShards } from '#model-cache/read-artifact.ts'
import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
import type { HostEnv } from './env.ts'

export class Weights extends WorkerEntrypoint<HostEnv, { manifest: Digest }> {
  /** GET or HEAD `http://weights/?path=…`: 200 with the artifact's size and bytes, 404 where the version has none. */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return new Response(null, { status: 405 })
    const path = new URL(request.url).searchParams.get('path') ?? ''
    const tiers = [diskServiceStore(this.env.BLOBS)]
    try {
      const manifest = await readManifest(this.ctx.props.manifest, tiers)
      const artifact = manifest.artifacts.find((candidate) => candidate.path === path)
      if (!artifact) return new Response(null, { status: 404 })
      const headers = { 'x-size-bytes': String(artifact.sizeBytes) }
      const body = request.method === 'HEAD' ? null : streamArtifact(withShards(artifact), { tiers })
      return new Response(body, { headers })
    } catch (error) {
      if (isServingError(error)) return Response.json(error, { status: error.status })
      throw error
    }
  }
}
