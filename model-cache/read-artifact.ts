/** An artifact as one verified stream, shard by shard; whoever stops reading stops the reads. */
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Artifact } from '#contracts/manifest.ts'
import { readShard } from './read-shard.ts'

export function streamArtifact(artifact: Artifact, tiers: readonly BlobStore[]): ReadableStream<Uint8Array> {
  let next = 0
  const abort = new AbortController()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const shard = artifact.shards[next]
      if (!shard) return controller.close()
      next += 1
      const bytes = await readShard(shard, { tiers, signal: abort.signal })
      // An empty file is one empty shard, and streams refuse empty chunks.
      if (bytes.byteLength > 0) controller.enqueue(bytes)
      else controller.close()
    },
    cancel: (reason) => abort.abort(reason),
  })
}

/** Resolves to a whole small artifact; the caller has checked `artifact.sizeBytes`. */
export async function readArtifact(artifact: Artifact, tiers: readonly BlobStore[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(artifact.sizeBytes)
  let at = 0
  for (const shard of artifact.shards) {
    bytes.set(await readShard(shard, { tiers }), at)
    at += shard.sizeBytes
  }
  return bytes
}
