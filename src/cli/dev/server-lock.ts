/**
 * One server per state folder: two would write one registry. The lock is a transaction that never ends on a SQLite file, held
 * by the kernel for the process and gone with it however it dies, so no lock is ever stale.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { failed } from '../failure.ts'

const busy = 5

/** Returns what releases the lock. @throws {Failure} 1 while another process holds it. */
export function lockStateFolder(home: string): () => void {
  const path = join(home, 'lock.sqlite')
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path)
    database.exec('BEGIN EXCLUSIVE')
    const held = database
    return () => held.close()
  } catch (error) {
    database?.close()
    if ((error as { errcode?: number }).errcode === busy) {
      throw failed(
        'STATE_IN_USE',
        `Another glim server runs with the state folder ${home}. Stop that one, or choose another folder with --home or GLIM_HOME.`,
      )
    }
    throw failed(
      'STATE_NOT_WRITABLE',
      `The lock ${path} cannot be taken (${(error as Error).message}). Remove that file if no glim server runs.`,
    )
  }
}
