/** The administrator's token: given in GLIM_TOKEN, or made once and kept where only its owner reads it. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { failed } from '../failure.ts'

export interface AdminToken {
  value: string
  /** Lower-case hex SHA-256, all that the server gets. */
  hash: string
  /** Where it lies, for people. */
  place: string
}

/** What a header can carry as one word. */
const tokenPattern = /^[\x21-\x7e]+$/

/** @throws {Failure} 1 for a token that no client could send. */
export async function adminToken(home: string, given: string | undefined): Promise<AdminToken> {
  if (given !== undefined && given !== '') return checked(given, 'GLIM_TOKEN')
  const path = join(home, 'token')
  try {
    await writeFile(path, `glim_${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    // There already: it is never made anew, for clients hold it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(path, (error as Error).message)
  }
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw unusable(path, error.message)
  })
  return checked(text.replace(/\r?\n$/, ''), path)
}

function checked(value: string, place: string): AdminToken {
  if (value === '') throw unusable(place, 'it is empty')
  if (!tokenPattern.test(value)) throw unusable(place, 'it is not one word of printable ASCII characters')
  return { value, hash: createHash('sha256').update(value).digest('hex'), place }
}

function unusable(place: string, reason: string) {
  return failed(
    'BAD_TOKEN',
    `The administrator's token in ${place} cannot be used: ${reason}. Remove it and a new one is made, or set GLIM_TOKEN.`,
  )
}
