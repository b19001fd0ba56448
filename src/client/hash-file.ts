/**
 * A file as an artifact: the digest of every shard and of the whole, in one pass that holds one shard. Model files are as
 * large as the memory of small machines, so no function here ever has a whole one.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { limits } from '#contracts/limits.ts'
import type { Artifact, Digest, Shard } from '#contracts/manifest.ts'

export interface LocalFile {
  /** The artifact's path within the model. */
  path: string
  /** Where the bytes lie on this machine. */
  location: string
}

/** Resolves to the artifact; `onBytes` hears of every shard that was read. */
export async function hashFile(
  { path, location }: LocalFile,
  onBytes: (count: number) => void = () => {},
): Promise<Artifact> {
  const whole = createHash('sha256')
  const shards: Shard[] = []
  let sizeBytes = 0
  const file = await open(location)
  try {
    const buffer = new Uint8Array(limits.shardBytes)
    for (;;) {
      const bytes = await readFully(file, buffer, sizeBytes)
      if (bytes.byteLength === 0) break
      whole.update(bytes)
      shards.push({ digest: digestOfBytes(bytes), sizeBytes: bytes.byteLength })
      sizeBytes += bytes.byteLength
      onBytes(bytes.byteLength)
    }
  } finally {
    await file.close()
  }
  return { path, sizeBytes, digest: `sha256:${whole.digest('hex')}`, shards }
}

/** Resolves to the buffer filled from a position, or to less of it where the file ends before; one read may bring only a part. */
export async function readFully(file: FileHandle, buffer: Uint8Array, at: number): Promise<Uint8Array> {
  let filled = 0
  while (filled < buffer.byteLength) {
    const { bytesRead } = await file.read(buffer, filled, buffer.byteLength - filled, at + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

function digestOfBytes(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
