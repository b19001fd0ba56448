/** A file of this machine as a source's file, read through one small buffer. */
import { open } from 'node:fs/promises'
import type { SourceFile } from './model-source.ts'

const bufferBytes = 256 * 1024

export interface LocalFile {
  /** The artifact's path within the model. */
  path: string
  /** Where the bytes lie, links resolved. */
  location: string
  sizeBytes: number
}

export function localFile({ path, location, sizeBytes }: LocalFile): SourceFile {
  return {
    path,
    sizeBytes,
    async *read(from = 0) {
      const file = await open(location)
      try {
        const buffer = new Uint8Array(Math.min(bufferBytes, Math.max(1, sizeBytes)))
        for (let at = from; ; ) {
          const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, at)
          if (bytesRead === 0) return
          at += bytesRead
          yield buffer.subarray(0, bytesRead)
        }
      } finally {
        await file.close()
      }
    },
  }
}
