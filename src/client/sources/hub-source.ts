/**
 * A model on a hub with Hugging Face's URL layout. A branch is resolved once, to a commit, and everything after names the
 * commit: what is listed, what is read and what the version remembers are one state of the repository.
 */
import * as z from 'zod'
import { artifactPathSchema, type Digest } from '#contracts/manifest.ts'
import { type HubAccess, hubJson } from './hub-json.ts'
import { type ModelSource, mostFileBytes, type SourceFile } from './model-source.ts'
import { type RemoteOptions, remoteBytes } from './remote-file.ts'
import { requireSafe } from './safe-fetch.ts'
import { invalid, notUnderstood, tooLarge } from './source-error.ts'

export interface Hub {
  /** The hub's address, perhaps with a path. */
  url: string
  token?: string
}

export interface HubSourceOptions extends RemoteOptions {
  hub: Hub
  repository: string
  /** A branch, a tag or a commit. */
  revision: string
}

const commitPattern = /^[0-9a-f]{40}$/
/** Of a thousand files each. */
const mostPages = 20

const revisionSchema = z.object({ sha: z.string().regex(commitPattern) })
const entrySchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.number().int().nonnegative(),
  /** Only files in large-file storage have one, and its `oid` is their SHA-256. */
  lfs: z.object({ oid: z.string(), size: z.number().int().nonnegative() }).nullish(),
})
const treeSchema = z.array(entrySchema)
type Entry = z.infer<typeof entrySchema>

export function hubSource({ hub, repository, revision, ...remote }: HubSourceOptions): ModelSource {
  return {
    async open() {
      const url = addressOf(hub)
      const headers: Record<string, string> = hub.token === undefined ? {} : { authorization: `Bearer ${hub.token}` }
      const access = { ...remote, headers, repository, url }
      const commit = commitPattern.test(revision) ? revision : await commitOf(revision, access)
      const entries = await entriesOf(commit, access)
      return {
        files: entries.map((entry) => hubFile(entry, commit, access)),
        label: `hf:${repository}@${commit}`,
        preferredDtype: 'q8',
      }
    },
  }
}

interface RepositoryAccess extends HubAccess {
  /** The hub's, without a slash at its end. */
  url: string
}

async function commitOf(revision: string, access: RepositoryAccess): Promise<string> {
  const path = `api/models/${access.repository}/revision/${encodeURIComponent(revision)}`
  return (await hubJson(`${access.url}/${path}`, revisionSchema, access)).value.sha
}

async function entriesOf(commit: string, access: RepositoryAccess): Promise<Entry[]> {
  const entries: Entry[] = []
  let page: string | undefined = `${access.url}/api/models/${access.repository}/tree/${commit}?recursive=true`
  for (let pages = 0; page !== undefined; pages++) {
    if (pages === mostPages) throw invalid(`${access.repository} has more files than a model has.`)
    const listed: { value: Entry[]; next?: string } = await hubJson(page, treeSchema, access)
    // A path that no manifest can hold is not one that an import could choose.
    entries.push(
      ...listed.value.filter(({ type, path }) => type === 'file' && artifactPathSchema.safeParse(path).success),
    )
    page = listed.next
  }
  return entries
}

function hubFile({ path, size, lfs }: Entry, commit: string, access: RepositoryAccess): SourceFile {
  const { url: hub, repository, headers } = access
  const url = `${hub}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
  const name = `${path} of ${repository}`
  const sizeBytes = lfs?.size ?? size
  const file = { url, headers, name, sizeBytes, isFixed: true }
  return {
    path,
    sizeBytes,
    ...(lfs ? { digest: digestFrom(lfs.oid, name) } : {}),
    origin: { repository, revision: commit, path },
    read(from = 0) {
      if (sizeBytes > mostFileBytes) throw tooLarge(name, sizeBytes, mostFileBytes)
      return remoteBytes(file, from, access)
    },
  }
}

function addressOf({ url }: Hub): string {
  const parsed = URL.parse(url)
  if (!parsed) throw notUnderstood(`The hub's address "${url}" (GLIM_HUB_URL) is no URL.`)
  requireSafe(parsed)
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`
}

function digestFrom(oid: string, name: string): Digest {
  const hex = oid.replace(/^sha256:/, '')
  if (!/^[0-9a-f]{64}$/.test(hex)) throw invalid(`The hub lists ${name} with "${oid.slice(0, 80)}" as its SHA-256.`)
  return `sha256:${hex}`
}
