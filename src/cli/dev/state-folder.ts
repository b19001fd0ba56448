/** The folder of all state: there, private and writable, or one line that says why not. */
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { failed } from '../failure.ts'

/** Written and removed again; a full disk shows here and not in the middle of a registration. */
const probeBytes = 64 * 1024

/** @throws {Failure} 1 */
export async function openStateFolder(home: string): Promise<void> {
  const probe = join(home, `probe-${process.pid}`)
  try {
    await makeFolder(home)
    await writeFile(probe, new Uint8Array(probeBytes))
  } catch (error) {
    throw failed(
      'STATE_NOT_WRITABLE',
      `The state folder ${home} ${reasonOf(error)}. Choose another with --home or GLIM_HOME.`,
    )
  } finally {
    await rm(probe, { force: true }).catch(() => {})
  }
}

/** Step by step: Node's own recursion never ends where the parent exists but takes no folders, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error
    await makeFolder(dirname(path))
    await mkdir(path, { mode: 0o700 })
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'is not writable for this user'
    case 'ENOENT':
      return 'cannot be made there'
    case 'EROFS':
      return 'is on a read-only file system'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'is on a disk that is full'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'is not a folder, or lies below a file'
    default:
      return `cannot be used (${message})`
  }
}
