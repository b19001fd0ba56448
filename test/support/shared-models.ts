/** The models of `../shared/models`, which lie beside the repository on development machines and are no part of it. */
import { existsSync, readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ArtifactReader } from '#contracts/served-model.ts'

const root = fileURLToPath(new URL('../../../shared/models/', import.meta.url))

export const haveSharedModels = existsSync(root)
/** For the title of a skipped suite. */
export const withoutSharedModels = `needs the models of ${root}`

export function sharedModelPath(model: string, file: string): string {
  return join(root, model, file)
}

export function sharedJson(model: string, file: string): unknown {
  return JSON.parse(readFileSync(sharedModelPath(model, file), 'utf8'))
}

export function sharedBytes(model: string, file: string): Uint8Array {
  return new Uint8Array(readFileSync(sharedModelPath(model, file)))
}

/** Reads the artifacts of a shared model. */
export function sharedReader(model: string): ArtifactReader {
  return folderReader(join(root, model))
}

/** Reads the files of a folder as artifacts, in chunks as a stream would bring them. */
export function folderReader(folder: string): ArtifactReader {
  return {
    async sizeOf(path) {
      return await stat(join(folder, path)).then(
        (found) => (found.isFile() ? found.size : null),
        () => null,
      )
    },
    async stream(path) {
      return chunked(new Uint8Array(await readFile(join(folder, path))))
    },
  }
}

/** Reads artifacts that a test has made. */
export function memoryReader(files: Readonly<Record<string, Uint8Array | string>>): ArtifactReader {
  const bytesOf = (path: string) => {
    const file = Object.hasOwn(files, path) ? files[path]! : undefined
    return typeof file === 'string' ? new TextEncoder().encode(file) : file
  }
  return {
    async sizeOf(path) {
      return bytesOf(path)?.byteLength ?? null
    },
    async stream(path) {
      const bytes = bytesOf(path)
      if (!bytes) throw new Error(`no ${path}`)
      return chunked(bytes)
    },
  }
}

/** The files of one reader, with some replaced or added. */
export function overlayReader(
  files: Readonly<Record<string, Uint8Array | string>>,
  below: ArtifactReader,
): ArtifactReader {
  const above = memoryReader(files)
  const readerOf = async (path: string) => ((await above.sizeOf(path)) === null ? below : above)
  return {
    sizeOf: async (path) => (await readerOf(path)).sizeOf(path),
    stream: async (path) => (await readerOf(path)).stream(path),
  }
}

function chunked(bytes: Uint8Array, chunkBytes = 100_000): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close()
      controller.enqueue(bytes.slice(at, at + chunkBytes))
      at += chunkBytes
    },
  })
}
