/**
 * The files of a model's folder. Links are followed within the folder, and into the place to which the hub's own cache links
 * (`models--O--N/snapshots/COMMIT/…` → `models--O--N/blobs/…`). Any other link is refused: a downloaded folder that links to
 * `~/.ssh/id_rsa` would otherwise have it uploaded as `config.json`.
 */
import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import type { LocalFile } from './local-file.ts'
import { invalid, SourceError } from './source-error.ts'

const deepest = 4
/** A folder with more entries than this is no model's. */
const mostEntries = 20_000

/**
 * Resolves to all files with `/` between their parts, sorted by path.
 *
 * @param isOurs which names in the folder itself are looked at; the others may be anything.
 * @throws {SourceError} LINK_LEAVES_SOURCE
 */
export async function listFolder(folder: string, isOurs = (_name: string) => true): Promise<LocalFile[]> {
  const places = await allowedPlaces(folder)
  const files: LocalFile[] = []
  const visited = new Set<string>()
  let entries = 0
  const visit = async (path: string, depth: number): Promise<void> => {
    const place = await realpath(join(folder, path))
    // A link to a folder above would show every file again under another name.
    if (visited.has(place)) return
    visited.add(place)
    for (const entry of await readdir(place, { withFileTypes: true })) {
      if (++entries > mostEntries)
        throw invalid(`${folder} has more than ${mostEntries} entries; name the folder of one model.`)
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      if (path === '' && !isOurs(entry.name)) continue
      const inner = path === '' ? entry.name : `${path}/${entry.name}`
      const location = entry.isSymbolicLink()
        ? await followed(inner, join(place, entry.name), places)
        : join(place, entry.name)
      const found = location === null ? null : await stat(location).catch(() => null)
      if (location !== null && found?.isFile()) files.push({ path: inner, location, sizeBytes: found.size })
      else if (found?.isDirectory() && depth < deepest) await visit(inner, depth + 1)
    }
  }
  await visit('', 1)
  return files.sort((left, right) => (left.path < right.path ? -1 : 1))
}

/** Resolves to where a link leads; null where that is nowhere. */
async function followed(path: string, link: string, places: readonly string[]): Promise<string | null> {
  const target = await realpath(link).catch(() => null)
  if (target === null || places.some((place) => isWithin(target, place))) return target
  throw new SourceError(
    'LINK_LEAVES_SOURCE',
    `${path} is a link to ${target}, outside of the model's folder. If that file belongs to the model, put a copy in its place.`,
  )
}

/** The folder, and where it is a snapshot in the hub's cache, the blobs of the same model. */
async function allowedPlaces(folder: string): Promise<string[]> {
  const root = await realpath(folder)
  for (let place = root, depth = 0; depth < deepest && dirname(place) !== place; place = dirname(place), depth++) {
    if (basename(dirname(place)) !== 'snapshots') continue
    const blobs = await realpath(join(place, '..', '..', 'blobs')).catch(() => null)
    return blobs === null ? [root] : [root, blobs]
  }
  return [root]
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`)
}
