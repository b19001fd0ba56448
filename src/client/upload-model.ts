/**
 * Bringing a model's bytes to a server: hash everything, ask what is missing, send only that.
 *
 * Shards are named by digest, so an upload that broke off continues where it was, and a second version that shares weights
 * with the first sends the difference. At most `concurrentShards` shards are in memory.
 */
import { open } from 'node:fs/promises'
import { limits } from '#contracts/limits.ts'
import type { Artifact, Digest, Manifest, Shard } from '#contracts/manifest.ts'
import type { GlimClient } from './client.ts'
import { hashFile, type LocalFile, readFully } from './hash-file.ts'

const concurrentShards = 4
/** Digests per question; a question is answered by as many look-ups on the server. */
const questionDigests = 1_024

export interface UploadProgress {
  stage: 'hashing' | 'sending'
  doneBytes: number
  totalBytes: number
}

/** A shard's bytes are the caller's again once `putBlob` has resolved. */
export type BlobReceiver = Pick<GlimClient, 'missingBlobs' | 'putBlob'>

export interface UploadOptions {
  client: BlobReceiver
  /** For progress; the sum of the files' sizes. */
  totalBytes: number
  onProgress?: (progress: UploadProgress) => void
}

export interface Upload {
  manifest: Manifest
  /** Bytes of all artifacts, and of the shards that went over the wire. */
  sizeBytes: number
  sentBytes: number
}

/** Resolves once the server holds every shard. @throws {ServingError | ServerUnreachable} as the client does. */
export async function uploadModel(files: readonly LocalFile[], options: UploadOptions): Promise<Upload> {
  const { client, totalBytes, onProgress = () => {} } = options
  let hashed = 0
  const artifacts: Artifact[] = []
  for (const file of files) {
    const count = (bytes: number) => {
      hashed += bytes
      onProgress({ stage: 'hashing', doneBytes: hashed, totalBytes })
    }
    artifacts.push(await hashFile(file, count))
  }

  const missing = await missingOf(artifacts, client)
  const places = placesOf(files, artifacts, missing)
  const missingBytes = places.reduce(
    (sum, { shards }) => sum + shards.reduce((bytes, { shard }) => bytes + shard.sizeBytes, 0),
    0,
  )
  let sent = 0
  const count = (bytes: number) => {
    sent += bytes
    onProgress({ stage: 'sending', doneBytes: sent, totalBytes: missingBytes })
  }
  for (const place of places) await sendShards(place, client, count)

  const sizeBytes = artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0)
  return { manifest: { version: 1, artifacts }, sizeBytes, sentBytes: sent }
}

async function missingOf(artifacts: readonly Artifact[], client: BlobReceiver): Promise<Set<Digest>> {
  const digests = [...new Set(artifacts.flatMap(({ shards = [] }) => shards.map(({ digest }) => digest)))]
  const missing = new Set<Digest>()
  for (let at = 0; at < digests.length; at += questionDigests) {
    for (const digest of await client.missingBlobs(digests.slice(at, at + questionDigests))) missing.add(digest)
  }
  return missing
}

interface Place {
  location: string
  shards: { shard: Shard; at: number }[]
}

/** Where each missing shard is read: once, however often it occurs. */
function placesOf(files: readonly LocalFile[], artifacts: readonly Artifact[], missing: Set<Digest>): Place[] {
  const left = new Set(missing)
  return artifacts.map((artifact, index) => {
    const shards: Place['shards'] = []
    let at = 0
    for (const shard of artifact.shards ?? []) {
      if (left.delete(shard.digest)) shards.push({ shard, at })
      at += shard.sizeBytes
    }
    return { location: files[index]!.location, shards }
  })
}

async function sendShards(
  { location, shards }: Place,
  client: BlobReceiver,
  count: (bytes: number) => void,
): Promise<void> {
  if (shards.length === 0) return
  const file = await open(location)
  const queue = shards.values()
  let failed = false
  const sendInTurn = async () => {
    const buffer = new Uint8Array(limits.shardBytes)
    // One iterator shared by all lanes: each takes the next shard when it is free.
    for (const { shard, at } of queue) {
      if (failed) return
      await client.putBlob(shard.digest, await readFully(file, buffer.subarray(0, shard.sizeBytes), at))
      count(shard.sizeBytes)
    }
  }
  const lanes = Array.from({ length: Math.min(concurrentShards, shards.length) }, () =>
    sendInTurn().catch((error: unknown) => {
      failed = true
      throw error
    }),
  )
  try {
    // Settled, not raced: the file stays open until the last lane has stopped reading it.
    const [failure] = (await Promise.allSettled(lanes)).filter((lane) => lane.status === 'rejected')
    if (failure) throw failure.reason
  } finally {
    await file.close()
  }
}
