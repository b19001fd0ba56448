/** A model on this machine: one `.onnx` file, a folder in the hub's layout, or a folder that MLflow wrote. */
import { realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { listFolder } from './list-folder.ts'
import { localFile } from './local-file.ts'
import { openMlflow } from './mlflow-source.ts'
import type { ModelSource, OpenedSource } from './model-source.ts'
import { notFound } from './source-error.ts'

/** @param label what a version tells of where it came from; the path if left out. */
export function pathSource(path: string, label = path): ModelSource {
  return {
    async open() {
      const found = await stat(path).catch(() => null)
      if (!found) throw notFound(`There is no file or folder ${path}.`)
      if (!found.isDirectory()) return openFile(path, found.size, label)
      const files = (await listFolder(path)).map(localFile)
      const mlmodel = files.find((file) => file.path === 'MLmodel')
      return mlmodel ? openMlflow(files, mlmodel, label) : { files, label }
    },
  }
}

/** What else lies beside a single file may belong to anything, so only what bears its name comes along. */
async function openFile(path: string, sizeBytes: number, label: string): Promise<OpenedSource> {
  if (!path.endsWith('.onnx')) throw notFound(`${path} is neither a folder nor an .onnx file.`)
  const graph = basename(path)
  // The caller named this very file, so it is followed wherever it leads; its neighbours are not.
  const own = localFile({ path: graph, location: await realpath(path), sizeBytes })
  const beside = (await listFolder(dirname(path), (name) => name !== graph && name.startsWith(graph))).map(localFile)
  return { files: [own, ...beside], label, graph }
}
