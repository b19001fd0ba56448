/** The endpoint's view of its own version: artifacts by path, through the one capability it has. */
import { doesNotExist, internal, ServingError, type ServingErrorFacts } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'

export function weightsReader(weights: ServiceBinding): ArtifactReader {
  let sizes: Promise<Map<string, number>> | undefined
  return {
    async sizeOf(path) {
      sizes ??= listed(weights)
      return (await sizes).get(path) ?? null
    },
    async stream(path) {
      const response = await weights.fetch(`http://weights/?path=${encodeURIComponent(path)}`)
      if (response.status === 404) throw doesNotExist(`The model version has no file ${path}.`)
      if (!response.ok) throw new ServingError((await response.json()) as ServingErrorFacts)
      if (!response.body) throw internal(`The stream of ${path} has no body.`)
      return response.body
    },
  }
}

/** A version never changes, so its list of files is asked for once. */
async function listed(weights: ServiceBinding): Promise<Map<string, number>> {
  const response = await weights.fetch('http://weights/files')
  if (!response.ok) throw new ServingError((await response.json()) as ServingErrorFacts)
  return new Map(Object.entries((await response.json()) as Record<string, number>))
}
