/** The endpoint's view of its own version: artifacts by path, through the one capability it has. */
import { doesNotExist, internal, ServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'

export function weightsReader(weights: ServiceBinding): ArtifactReader {
  const ask = (method: string, path: string) =>
    weights.fetch(`http://weights/?path=${encodeURIComponent(path)}`, { method })
  return {
    async sizeOf(path) {
      const response = await ask('HEAD', path)
      if (response.status === 404) return null
      return Number(response.headers.get('x-size-bytes'))
    },
    async stream(path) {
      const response = await ask('GET', path)
      if (response.status === 404) throw doesNotExist(`The model version has no file ${path}.`)
      if (!response.ok) throw new ServingError((await response.json()) as ServingErrorFacts)
      if (!response.body) throw internal(`The stream of ${path} has no body.`)
      return response.body
    },
  }
}
