/** Bytes and choices that are random in look and the same in every run. */
import { createHash } from 'node:crypto'
import type { Artifact, Digest, Shard } from '#contracts/manifest.ts'
import type { IncrementalHash } from '#model-cache/digest-stream.ts'
import type { ResolvedArtifact } from '#model-cache/read-artifact.ts'

export interface Random {
  /** A whole number from 0 to below `end`. */
  below(end: number): number
  bytes(length: number): Uint8Array<ArrayBuffer>
}

/** Marsaglia's xorshift. */
export function randomFrom(seed: number): Random {
  let state = seed * 2_654_435_761 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  for (let warm = 0; warm < 8; warm++) next()
  return {
    below: (end) => next() % end,
    bytes: (length) => {
      const words = new Uint32Array(Math.ceil(length / 4))
      for (let at = 0; at < words.length; at++) words[at] = next()
      return new Uint8Array(words.buffer, 0, length)
    },
  }
}

export function sha256(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function newHash(): IncrementalHash {
  const hash = createHash('sha256')
  return {
    update: (bytes) => void hash.update(bytes),
    digest: async () => `sha256:${hash.digest('hex')}`,
  }
}

export function shardsOfBytes(bytes: Uint8Array, shardBytes: number): Shard[] {
  return partsOf(bytes, shardBytes).map((part) => ({ digest: sha256(part), sizeBytes: part.byteLength }))
}

export function partsOf(bytes: Uint8Array, shardBytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.byteLength / shardBytes) }, (_, at) =>
    bytes.subarray(at * shardBytes, (at + 1) * shardBytes),
  )
}

export function artifactOf(bytes: Uint8Array, shardBytes: number, path = 'model.onnx'): ResolvedArtifact {
  const artifact: Artifact = { path, sizeBytes: bytes.byteLength, digest: sha256(bytes) }
  return { ...artifact, shards: shardsOfBytes(bytes, shardBytes) }
}

export async function allBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).bytes()
}
