import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adminToken } from '#src/cli/dev/admin-token.ts'
import { requireFreePort } from '#src/cli/dev/require-free-port.ts'
import { lockStateFolder } from '#src/cli/dev/server-lock.ts'
import { openStateFolder } from '#src/cli/dev/state-folder.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'glim-state-'))
})
afterAll(() => rm(folder, { recursive: true }))

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

describe('the state folder', () => {
  it('is made with its parents, for its owner only, and left as it was found', async () => {
    const home = join(folder, 'a/b')
    await openStateFolder(home)
    await openStateFolder(home)
    expect([await modeOf(home), await modeOf(join(folder, 'a')), await readdir(home)]).toEqual(['700', '700', []])
  })

  it('that is a file, lies below one, or cannot be made is refused with one line', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(openStateFolder(file)).rejects.toThrow(`The state folder ${file} is not a folder`)
    await expect(openStateFolder(join(file, 'x'))).rejects.toThrow(
      'lies below a file. Choose another with --home or GLIM_HOME.',
    )
    if (process.platform === 'linux')
      await expect(openStateFolder('/proc/glim/x')).rejects.toThrow('cannot be made there')
  })
})

describe('the lock', () => {
  const script = (home: string) =>
    `import { lockStateFolder } from ${JSON.stringify(new URL('../../src/cli/dev/server-lock.ts', import.meta.url).href)}
     lockStateFolder(${JSON.stringify(home)}); console.log('held'); process.kill(process.pid, 'SIGKILL')`
  const holdAndDie = (home: string) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script(home)], { encoding: 'utf8' })

  it('is held by one process at a time and free after any death', async () => {
    const home = await mkdtemp(join(folder, 'lock-'))
    expect(holdAndDie(home)).toMatchObject({ stdout: 'held\n', signal: 'SIGKILL' })
    const unlock = lockStateFolder(home)
    expect(holdAndDie(home).stderr).toContain(`Another glim server runs with the state folder ${home}.`)
    unlock()
    expect(holdAndDie(home).stdout).toBe('held\n')
  })

  it('on a file that is none says which to remove', async () => {
    const home = await mkdtemp(join(folder, 'lock-'))
    await writeFile(join(home, 'lock.sqlite'), 'x'.repeat(2_000))
    expect(() => lockStateFolder(home)).toThrow(`The lock ${join(home, 'lock.sqlite')} cannot be taken`)
  })
})

describe("the administrator's token", () => {
  it('is made once, long and readable by its owner only', async () => {
    const home = await mkdtemp(join(folder, 'token-'))
    const first = await adminToken(home, undefined)
    expect(first.value).toMatch(/^glim_[A-Za-z0-9_-]{43}$/)
    expect(await modeOf(first.place)).toBe('600')
    expect(await adminToken(home, '')).toEqual(first)
    expect(await readdir(home)).toEqual(['token'])
  })

  it('of GLIM_TOKEN wins and is written nowhere', async () => {
    const home = await mkdtemp(join(folder, 'token-'))
    expect(await adminToken(home, 'mine')).toMatchObject({ value: 'mine', place: 'GLIM_TOKEN' })
    expect(await readdir(home)).toEqual([])
    await expect(adminToken(home, 'two words')).rejects.toThrow('GLIM_TOKEN cannot be used')
  })

  it.each(['', '\n', 'two words', 'not\0text'])('%j in its file is refused and kept', async (text) => {
    const home = await mkdtemp(join(folder, 'token-'))
    await writeFile(join(home, 'token'), text)
    await expect(adminToken(home, undefined)).rejects.toThrow(`${join(home, 'token')} cannot be used`)
    expect(await readFile(join(home, 'token'), 'utf8')).toBe(text)
  })
})

describe('the port', () => {
  it('that is taken is named with the way to choose another', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((listening) => other.once('listening', listening))
    const { port } = other.address() as { port: number }
    await expect(requireFreePort('127.0.0.1', port)).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is in use by another program. Choose another with --port or GLIM_PORT.`,
    )
    await new Promise((closed) => other.close(closed))
    await expect(requireFreePort('127.0.0.1', port)).resolves.toBeUndefined()
  })

  it('on an address that is not of this machine is refused', async () => {
    await expect(requireFreePort('192.0.2.1', 0)).rejects.toThrow('192.0.2.1 is no address of this machine')
  })
})
