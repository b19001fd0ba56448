/** What `glim invoke` sends: JSON as it was typed, or a file by what it is. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { InvocationBody } from '#src/client/client.ts'
import { usage } from './failure.ts'

export interface InvocationSources {
  locate(path: string): string
  readStdin(): Promise<string>
}

/**
 * Resolves to the body for `JSON`, `@FILE` or `-`. A bare text or list is the model's only column, so `inputs` is put
 * around it.
 */
export async function invocationBody(
  argument: string,
  { locate, readStdin }: InvocationSources,
): Promise<InvocationBody> {
  if (argument === '-') return jsonBody(await readStdin(), 'standard input')
  if (!argument.startsWith('@')) return jsonBody(argument)

  const path = locate(argument.slice(1))
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw usage(error.code === 'ENOENT' ? `There is no file ${path}.` : `${path} cannot be read (${error.code}).`)
  })
  switch (extname(path).toLowerCase()) {
    case '.png':
    case '.jpg':
    case '.jpeg':
      return {
        body: JSON.stringify({ inputs: { image: [bytes.toString('base64')] } }),
        contentType: 'application/json',
      }
    case '.wav':
      return {
        body: JSON.stringify({ inputs: { audio: [bytes.toString('base64')] } }),
        contentType: 'application/json',
      }
    case '.csv':
      return { body: bytes, contentType: 'text/csv' }
    default:
      return jsonBody(bytes.toString('utf8'), path)
  }
}

/** The text itself wherever it can be sent as it is: parsing and printing it would round its large numbers. */
function jsonBody(text: string, where?: string): InvocationBody {
  const value = parsed(text, where)
  const bare = typeof value === 'string' || Array.isArray(value)
  const inputs = typeof value === 'string' ? JSON.stringify([value]) : text
  return { body: bare ? `{"inputs":${inputs}}` : text, contentType: 'application/json' }
}

function parsed(text: string, where: string | undefined): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (where !== undefined) throw usage(`What ${where} holds is not JSON: ${(error as Error).message}.`)
    const plain = /^[\s]*[{["]/.test(text) ? '' : ` For a text, quote it twice: '${JSON.stringify(text)}'`
    throw usage(`The input is not JSON: ${(error as Error).message}.${plain}`)
  }
}
