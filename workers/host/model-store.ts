/** The host's side of the upload route and of import: blobs in, a plan of how to serve them out. */
import * as z from 'zod'
import { badRequest, tooLarge } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { type Digest, digestSchema } from '#contracts/manifest.ts'
import { resultOf } from '#contracts/outcome.ts'
import { parseBody } from '#contracts/parse.ts'
import { digestOf } from '#model-cache/digest.ts'
import { newDigestStreamHash } from '#model-cache/digest-stream.ts'
import { isIntact } from '#model-cache/intact.ts'
import { parseManifest, readManifest, verifyArtifact, writeManifest } from '#model-cache/manifest.ts'
import { readArtifact, withShards } from '#model-cache/read-artifact.ts'
import { diskServiceStore } from '#model-cache/stores/disk-service.ts'
import { type HostEnv, modelCache } from './env.ts'

/** PUT /blobs/{digest}: stores one shard once its bytes are what the name says. */
export async function putBlob(digest: string, body: Uint8Array, env: HostEnv): Promise<Response> {
  if (body.byteLength > limits.maxShardBytes) throw tooLarge('A shard', body.byteLength, limits.maxShardBytes)
  const named = parseBody(digestSchema, digest, 'digest')
  if (!(await isIntact(named, body))) {
    const actual = await digestOf(body)
    throw badRequest(`digest: the ${body.byteLength} bytes that came are ${actual}, not ${named}.`, 'digest')
  }
  resultOf(await modelCache(env).put(named, body))
  return Response.json({})
}

const missingSchema = z.object({ digests: z.array(digestSchema).max(limits.shardsPerManifest) })

/** POST /blobs/missing: which of these digests are still to be sent. */
export async function missingBlobs(body: unknown, env: HostEnv): Promise<Response> {
  const { digests } = parseBody(missingSchema, body)
  return Response.json({ missing: await missingOf(new Set(digests), env) })
}

/** POST /manifests: stores a manifest whose shards are all here and make the files that it names; answers its digest. */
export async function putManifest(body: unknown, env: HostEnv): Promise<Response> {
  const manifest = parseManifest(body)
  const missing = await missingOf(
    new Set(manifest.artifacts.flatMap((artifact) => (artifact.shards ?? []).map((shard) => shard.digest))),
    env,
  )
  if (missing.length > 0) {
    throw badRequest(
      `manifest: ${missing.length} of its shards were not uploaded, the first is ${missing[0]}.`,
      'manifest',
    )
  }
  const disk = diskServiceStore(env.BLOBS)
  for (const artifact of manifest.artifacts) {
    if (artifact.shards && artifact.digest) {
      await verifyArtifact(withShards(artifact), { tiers: [disk], newHash: newDigestStreamHash })
    }
  }
  return Response.json({ manifest: await writeManifest(manifest, disk) })
}

/** GET /artifacts?manifest=…&path=…: one small artifact as bytes; 404 where the manifest has none at that path. */
export async function getArtifact(url: URL, env: HostEnv): Promise<Response> {
  const tiers = [diskServiceStore(env.BLOBS)]
  const digest = parseBody(digestSchema, url.searchParams.get('manifest'), 'manifest')
  const manifest = await readManifest(digest, tiers)
  const artifact = manifest.artifacts.find((candidate) => candidate.path === url.searchParams.get('path'))
  if (!artifact) return new Response(null, { status: 404 })
  if (artifact.sizeBytes > limits.smallArtifactBytes)
    throw tooLarge(artifact.path, artifact.sizeBytes, limits.smallArtifactBytes)
  return new Response((await readArtifact(artifact, tiers)) as BufferSource as ArrayBuffer)
}

/** GET /stored?manifest=…: how much of a version is on disk. */
export async function storedBytes(url: URL, env: HostEnv): Promise<Response> {
  const digest = parseBody(digestSchema, url.searchParams.get('manifest'), 'manifest')
  return Response.json(await modelCache(env).usage(digest))
}

const collectSchema = z.object({ manifests: z.array(digestSchema) })

/** POST /collect: deletes every blob that none of these versions needs. */
export async function collect(body: unknown, env: HostEnv): Promise<Response> {
  return Response.json(await modelCache(env).collect(parseBody(collectSchema, body).manifests))
}

async function missingOf(digests: ReadonlySet<Digest>, env: HostEnv): Promise<Digest[]> {
  const store = diskServiceStore(env.BLOBS)
  const missing: Digest[] = []
  for (const digest of digests) if (!(await store.has(digest))) missing.push(digest)
  return missing
}
