/**
 * Bringing a model's bytes to a server in one pass: every file is read once, cut into shards, named by digest and sent where the
 * server lacks it. What was promised of a whole file is checked when its last byte has come; the shards that a false file left
 * on the server are true to their own names, and nothing refers to them.
 *
 * An import that broke off and is run again sends only the rest, and a second version that shares weights with the first
 * sends the difference.
 */
import { createHash } from 'node:crypto'
import { limits } from '#contracts/limits.ts'
import type { Artifact, Digest, Manifest, Shard } from '#contracts/manifest.ts'
import { type BlobReceiver, ShardSender } from './shard-sender.ts'
import type { SourceFile } from './sources/model-source.ts'
import { changed, digestMismatch, invalid } from './sources/source-error.ts'

export interface UploadFile extends SourceFile {
  /** Only where it comes from is sent; the server fetches it itself. */
  isLazy?: boolean
}

export interface UploadProgress {
  stage: 'sending'
  doneBytes: number
  totalBytes: number
}

export interface UploadOptions {
  client: BlobReceiver
  onProgress?: (progress: UploadProgress) => void
}

export interface Upload {
  manifest: Manifest
  /** Bytes of all artifacts, and of the shards that went over the wire. */
  sizeBytes: number
  sentBytes: number
}

/**
 * Resolves once the server holds every shard.
 *
 * @throws {ServingError | ServerUnreachable} as the client does.
 * @throws {SourceError} DIGEST_MISMATCH and whatever else is wrong with the source.
 */
export async function uploadModel(files: readonly UploadFile[], options: UploadOptions): Promise<Upload> {
  const { client, onProgress = () => {} } = options
  const totalBytes = sumOf(files.filter(({ isLazy }) => !isLazy))
  const sender = new ShardSender(client)
  let doneBytes = 0
  const count = (bytes: number) => {
    doneBytes += bytes
    onProgress({ stage: 'sending', doneBytes, totalBytes })
  }
  const artifacts: Artifact[] = []
  try {
    for (const file of files) artifacts.push(file.isLazy ? lazyArtifact(file) : await sendFile(file, sender, count))
    await sender.finish()
  } finally {
    await sender.settle()
  }
  return { manifest: { version: 1, artifacts }, sizeBytes: sumOf(files), sentBytes: sender.sentBytes }
}

async function sendFile(file: SourceFile, sender: ShardSender, count: (bytes: number) => void): Promise<Artifact> {
  const { path, sizeBytes, origin } = file
  const whole = createHash('sha256')
  const shards: Shard[] = []
  let filled = 0
  const take = async () => {
    const bytes = sender.room.subarray(0, filled)
    filled = 0
    whole.update(bytes)
    const shard = { digest: digestOfBytes(bytes), sizeBytes: bytes.byteLength }
    shards.push(shard)
    await sender.take(shard)
    count(shard.sizeBytes)
  }
  for await (const chunk of file.read()) {
    for (let at = 0; at < chunk.byteLength; ) {
      const part = chunk.subarray(at, at + limits.shardBytes - filled)
      sender.room.set(part, filled)
      filled += part.byteLength
      at += part.byteLength
      if (filled === limits.shardBytes) await take()
    }
  }
  if (filled > 0) await take()

  const came = sumOf(shards)
  if (came !== sizeBytes) throw changed(path, `${came} bytes came instead of ${sizeBytes}`)
  const digest: Digest = `sha256:${whole.digest('hex')}`
  if (file.digest !== undefined && file.digest !== digest) throw digestMismatch(path, file.digest, digest)
  return { path, sizeBytes, digest, shards, ...(origin ? { origin } : {}) }
}

function lazyArtifact({ path, sizeBytes, digest, origin }: SourceFile): Artifact {
  if (!origin) throw invalid(`${path} comes from nowhere that a server could fetch it from.`)
  return { path, sizeBytes, origin, ...(digest ? { digest } : {}) }
}

function sumOf(parts: readonly { sizeBytes: number }[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

function digestOfBytes(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
