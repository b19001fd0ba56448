/**
 * Which files an import sends: the graph that is chosen and what belongs beside it. A model folder of the hub holds the same
 * weights in a dozen precisions; only one of them goes over the wire.
 */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { LocalFile } from '#src/client/hash-file.ts'
import { chooseGraph, companionsOf, type GraphChoice } from '#src/compiler/choose-graph.ts'
import { usage } from './failure.ts'

export interface ImportPlan {
  /** The graph's path within the model. */
  graph: string
  files: readonly (LocalFile & { sizeBytes: number })[]
  totalBytes: number
}

const deepest = 4
/** A folder with more entries than this is no model's. */
const mostEntries = 20_000

/** @throws {Failure | ServingError} where there is no such source or no single graph in it. */
export async function planImport(source: string, choice: GraphChoice = {}): Promise<ImportPlan> {
  const found = await stat(source).catch(() => null)
  if (!found) throw usage(`There is no file or folder ${source}.`)
  if (found.isDirectory()) {
    const paths = await listFiles(source)
    const graph = chooseGraph(paths, choice)
    return planFiles(source, graph, companionsOf(graph, paths))
  }
  if (!source.endsWith('.onnx')) throw usage(`${source} is neither a folder nor an .onnx file.`)
  const graph = basename(source)
  // What else lies beside a single file may belong to anything, so only its external data comes along.
  const beside = (await readdir(dirname(source))).filter((name) => name.startsWith(graph))
  return planFiles(dirname(source), graph, companionsOf(graph, beside))
}

async function planFiles(folder: string, graph: string, companions: readonly string[]): Promise<ImportPlan> {
  const files = await Promise.all(
    [graph, ...companions].map(async (path) => {
      const location = join(folder, path)
      return { path, location, sizeBytes: (await stat(location)).size }
    }),
  )
  return { graph, files, totalBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }
}

/** Paths of all files with `/` between their parts, sorted; links are followed, as the hub's cache is made of them. */
async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = []
  let entries = 0
  const visit = async (path: string, depth: number): Promise<void> => {
    for (const name of await readdir(join(folder, path))) {
      if (++entries > mostEntries)
        throw usage(`${folder} has more than ${mostEntries} entries; name the folder of one model.`)
      if (name.startsWith('.') || name === 'node_modules') continue
      const inner = path === '' ? name : `${path}/${name}`
      const found = await stat(join(folder, inner)).catch(() => null)
      if (found?.isFile()) files.push(inner)
      else if (found?.isDirectory() && depth < deepest) await visit(inner, depth + 1)
    }
  }
  await visit('', 1)
  return files.sort()
}
