/** What somebody typed as SOURCE, by its form alone: nothing is opened and nothing is asked. */
import { notUnderstood } from './source-error.ts'

export type ParsedSource =
  | { kind: 'hub'; repository: string; revision: string }
  | { kind: 'url'; url: URL }
  | { kind: 'path'; path: string }

/** What is on the hub when nobody names a revision. */
const defaultRevision = 'main'

/** @throws {SourceError} that shows the forms there are. */
export function parseSource(text: string): ParsedSource {
  if (text.startsWith('hf:')) return parseHub(text)
  if (/^https?:/i.test(text)) return { kind: 'url', url: parseUrl(text) }
  const [, scheme] = /^([a-z][a-z0-9+.-]+):\/\//i.exec(text) ?? []
  if (scheme)
    throw notUnderstood(`${scheme}:// is no source; there is a folder, an .onnx file, hf:OWNER/NAME and https://….`)
  return { kind: 'path', path: text }
}

function parseHub(text: string): ParsedSource {
  const [, repository, revision = defaultRevision] = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(text) ?? []
  // A dot segment would climb out of the repository's place in the hub's URLs.
  const plain = repository
    ?.split('/')
    .concat(revision.split('/'))
    .every((part) => !/^\.{0,2}$/.test(part))
  if (repository === undefined || !plain)
    throw notUnderstood(`Expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, and "${text}" came.`)
  return { kind: 'hub', repository, revision }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (!url) throw notUnderstood(`"${text}" is no URL.`)
  return url
}
