import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addressFrom, homeFrom, originOf, packageRoot, surroundingsOf } from '#src/cli/surroundings.ts'
import { recordingTerminal } from './recording-terminal.ts'

const at = (env: Record<string, string>, cwd: string) => surroundingsOf(env, cwd, recordingTerminal())

describe('paths', () => {
  it('resolve against the folder in which npm was called', () => {
    expect(at({ INIT_CWD: '/somewhere' }, packageRoot).locate('model')).toBe('/somewhere/model')
  })

  it('resolve against the current folder where npm did not start this', () => {
    expect(at({ INIT_CWD: '/somewhere' }, '/elsewhere').locate('model')).toBe('/elsewhere/model')
    expect(at({}, '/elsewhere').locate('/model')).toBe('/model')
  })
})

describe('the server', () => {
  it('is at 127.0.0.1:8787 unless flags, then the environment, say otherwise', () => {
    expect(addressFrom({})).toEqual({ host: '127.0.0.1', port: 8787 })
    expect(addressFrom({ GLIM_HOST: '', GLIM_PORT: '' })).toEqual({ host: '127.0.0.1', port: 8787 })
    expect(addressFrom({ GLIM_HOST: '::1', GLIM_PORT: '9000' })).toEqual({ host: '::1', port: 9000 })
    expect(addressFrom({ GLIM_PORT: '9000' }, { port: '0' })).toEqual({ host: '127.0.0.1', port: 0 })
  })

  it('that listens on every address is found on loopback', () => {
    expect(originOf('0.0.0.0', 1)).toBe('http://127.0.0.1:1')
    expect(originOf('::', 1)).toBe('http://[::1]:1')
    expect(originOf('glim.example', 1)).toBe('http://glim.example:1')
  })

  it('has its state in .glim of the checkout unless told', () => {
    expect(homeFrom({}, (path) => path)).toBe(join(packageRoot, '.glim'))
    expect(homeFrom({ GLIM_HOME: 'a' }, (path) => `/caller/${path}`)).toBe('/caller/a')
    expect(homeFrom({ GLIM_HOME: 'a' }, (path) => `/caller/${path}`, 'b')).toBe('/caller/b')
  })
})

describe('the token', () => {
  it('that no header can carry is refused with its place, not its value', async () => {
    const home = await mkdtemp(join(tmpdir(), 'glim-cli-'))
    await writeFile(join(home, 'token'), 'two words\n')
    expect(() => at({ GLIM_HOME: home }, '/').client()).toThrow(`What ${join(home, 'token')} holds is no token`)
    expect(() => at({ GLIM_TOKEN: 'sécret' }, '/').client()).toThrow('What GLIM_TOKEN holds is no token')
  })

  it('may be absent: the server says whether it needs one', () => {
    expect(at({ GLIM_HOME: '/nonexistent' }, '/').client().url).toBe('http://127.0.0.1:8787')
  })
})
