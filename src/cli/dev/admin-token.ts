/** The administrator's token: given in GLIM_TOKEN, or made once and kept where only its owner reads it. */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure, failed } from '../failure.ts'

export interface AdminToken {
  value: string
  /** Lower-case hex SHA-256, all that the server gets. */
  hash: string
  /** Where it lies, for people. */
  place: string
}

/** What a header can carry as one word. */
export const tokenPattern = /^[\x21-\x7e]+$/

/** To be called by who holds the folder's lock. @throws {Failure} 1 for a token that no client could send. */
export async function adminToken(home: string, given: string | undefined): Promise<AdminToken> {
  if (given !== undefined && given !== '') return checked(given, 'GLIM_TOKEN')
  const path = join(home, 'token')
  try {
    // Never made anew, for clients hold it; and made whole or not at all, for a torn one would be refused ever after.
    if (!existsSync(path)) {
      await writeFile(`${path}.new`, `glim_${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
      await rename(`${path}.new`, path)
    }
    return checked((await readFile(path, 'utf8')).replace(/\r?\n$/, ''), path)
  } catch (error) {
    throw error instanceof Failure ? error : unusable(path, (error as Error).message)
  }
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
