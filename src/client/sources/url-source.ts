/** One graph behind an https URL. Its size, and whether it is there at all, come from asking for its first byte. */
import { artifactPathSchema } from '#contracts/manifest.ts'
import { type ModelSource, mostFileBytes } from './model-source.ts'
import { type RemoteOptions, remoteBytes } from './remote-file.ts'
import { type Reply, requestReply } from './request-reply.ts'
import { requireSafe } from './safe-fetch.ts'
import { invalid, notUnderstood, tooLarge } from './source-error.ts'

export interface UrlSourceOptions extends RemoteOptions {
  url: URL
  /** Whether the caller says which digest must come. */
  hasDigest: boolean
}

export function urlSource({ url, hasDigest, ...remote }: UrlSourceOptions): ModelSource {
  return {
    async open() {
      requireSafe(url)
      const path = fileName(url)
      // A query may hold a signature, which is a secret for as long as it is valid.
      const label = `${url.origin}${url.pathname}`
      // A ranged GET, not HEAD: signed URLs are signed for one method.
      const probe = { ...remote, url: url.href, mostBytes: 1 }
      const sizeBytes = await requestReply(probe, (reply) => sizeFrom(reply, label))
      if (sizeBytes > mostFileBytes) throw tooLarge(label, sizeBytes, mostFileBytes)
      const file = { url: url.href, name: label, sizeBytes, isFixed: hasDigest }
      return {
        files: [{ path, sizeBytes, read: (from = 0) => remoteBytes(file, from, remote) }],
        label,
        graph: path,
        ...(hasDigest ? {} : { pinsWhatComes: true }),
      }
    },
  }
}

function fileName({ pathname }: URL): string {
  const last = decoded(pathname.slice(pathname.lastIndexOf('/') + 1))
  if (last.endsWith('.onnx') && !last.includes('/') && artifactPathSchema.safeParse(last).success) return last
  throw notUnderstood(`A URL must lead to one .onnx file, and the path of this one ends in "${last}".`)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function sizeFrom({ status, headers }: Reply, label: string): number {
  const range = /\/(\d+)$/.exec(headers.get('content-range') ?? '')
  const text = status === 206 ? range?.[1] : headers.get('content-length')
  if (text === null || text === undefined || headers.has('content-encoding'))
    throw invalid(`${label} does not say how large it is. Download it and import the file.`)
  return Number(text)
}
