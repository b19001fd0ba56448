/**
 * Blobs in a folder of a real file system, for Node. A blob is written under a temporary name in the folder where it will lie,
 * flushed and renamed, so that a file under a blob's name was once whole; processes that write the same blob at once each
 * rename a whole file and either may win. A flush of the folder itself is not needed: a name that a power cut loses is a miss.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStore } from '#contracts/blob-store.ts'
import type { Digest } from '#contracts/manifest.ts'

/** No shard takes this long to write, so whoever began an older temporary file is gone. */
const leftoverAgeMs = 10 * 60_000
const temporary = '.part'

export interface DirectoryStoreOptions {
  name?: string
  now?: () => number
}

/** Resolves once the folder exists and is rid of what killed writers left behind. */
export async function openDirectoryStore(
  folder: string,
  { name = 'directory', now = Date.now }: DirectoryStoreOptions = {},
): Promise<BlobStore> {
  await mkdir(folder, { recursive: true })
  await sweep(folder, now() - leftoverAgeMs)
  return {
    name,
    async get(digest, options) {
      options?.signal?.throwIfAborted()
      const buffer = await absentIsNull(readFile(pathOf(folder, digest)))
      // Plain bytes: a Buffer's `slice` would share its memory.
      return buffer && new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    },
    async put(digest, bytes) {
      const path = pathOf(folder, digest)
      await mkdir(join(path, '..'), { recursive: true })
      await writeWhole(path, bytes)
    },
    async has(digest) {
      return (await absentIsNull(stat(pathOf(folder, digest)))) !== null
    },
    async delete(digest) {
      await rm(pathOf(folder, digest), { force: true })
    },
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${crypto.randomUUID()}${temporary}`
  try {
    const file = await open(part, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function sweep(folder: string, olderThanMs: number): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(temporary)) continue
    const path = join(entry.parentPath, entry.name)
    const facts = await absentIsNull(stat(path))
    if (facts && facts.mtimeMs < olderThanMs) await rm(path, { force: true })
  }
}

async function absentIsNull<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null
    throw error
  }
}

/** Two levels of folders keep a folder's listing short. */
function pathOf(folder: string, digest: Digest): string {
  const hex = digest.slice('sha256:'.length)
  return join(folder, hex.slice(0, 2), hex)
}
