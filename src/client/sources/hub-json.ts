/** What the hub's API says, checked against a schema, and where it continues. */
import type * as z from 'zod'
import { isServingError } from '#contracts/errors.ts'
import type { RemoteOptions } from './remote-file.ts'
import { requestReply } from './request-reply.ts'
import { invalid, notFound, SourceError } from './source-error.ts'

export interface HubAccess extends RemoteOptions {
  repository: string
  /** With the token, if there is one. */
  headers: Readonly<Record<string, string>>
}

const mostJsonBytes = 16 * 1024 * 1024

/** Resolves to the value, and to the next page where there is one. @throws {ServingError | SourceError} */
export async function hubJson<T>(
  url: string,
  schema: z.ZodType<T>,
  access: HubAccess,
): Promise<{ value: T; next?: string }> {
  try {
    return await requestReply({ ...access, url, mostBytes: mostJsonBytes }, async ({ headers, text }) => {
      const result = schema.safeParse(parsed(await text()))
      if (!result.success)
        throw invalid(`${new URL(url).origin} does not answer as a hub of Hugging Face's layout. Look at GLIM_HUB_URL.`)
      const next = nextPage(headers, url)
      return { value: result.data, ...(next === undefined ? {} : { next }) }
    })
  } catch (error) {
    throw isServingError(error) ? (refusal(error.status, new URL(url).host, access) ?? error) : error
  }
}

/** A hub answers 401 for a model that is not there too, so as not to tell which are. */
function refusal(status: number, host: string, { repository, headers }: HubAccess): SourceError | null {
  if (status === 404) return notFound(`${host} has no model ${repository}, or no such revision of it.`)
  if (status !== 403) return null
  const hint = headers.authorization
    ? 'The token in GLIM_HUB_TOKEN may not read it.'
    : 'If it is private or gated, put a token in GLIM_HUB_TOKEN.'
  return new SourceError('SOURCE_REFUSED', `${host} has no model ${repository} for you. ${hint}`)
}

/** `Link: <…>; rel="next"`, within the same origin. */
function nextPage(headers: Headers, url: string): string | undefined {
  const [, target] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(headers.get('link') ?? '') ?? []
  const next = target === undefined ? null : URL.parse(target, url)
  return next?.origin === new URL(url).origin ? next.href : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
