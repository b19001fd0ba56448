/** From SOURCE as it was typed to the source that it names. */
import { hubSource } from '#src/client/sources/hub-source.ts'
import type { ModelSource } from '#src/client/sources/model-source.ts'
import { parseSource } from '#src/client/sources/parse-source.ts'
import { pathSource } from '#src/client/sources/path-source.ts'
import { urlSource } from '#src/client/sources/url-source.ts'
import type { Surroundings } from './command.ts'
import { hubFrom } from './surroundings.ts'

export interface SourceOptions extends Pick<Surroundings, 'locate' | 'env'> {
  /** Whether the caller says which digest must come. */
  hasDigest: boolean
}

/** @throws {SourceError} for what is no source; nothing is opened yet. */
export function modelSource(text: string, { locate, env, hasDigest }: SourceOptions): ModelSource {
  const parsed = parseSource(text)
  switch (parsed.kind) {
    case 'hub':
      return hubSource({ ...parsed, hub: hubFrom(env) })
    case 'url':
      return urlSource({ url: parsed.url, hasDigest })
    case 'path':
      return pathSource(locate(parsed.path))
  }
}
