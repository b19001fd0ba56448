/** What becomes of requests in flight when the server is told to stop, measured on a worker that is slow. */
import { afterEach, describe, expect, it } from 'vitest'
import { endPrograms, groupOf, type Program, startProgram } from './child.ts'

afterEach(endPrograms)

async function asked(limitMs: number, requestMs: number): Promise<{ program: Program; reply: Promise<string> }> {
  const program = startProgram(['test/cli/sleepy-server.ts', String(limitMs)])
  const [, origin] = await program.find(/ready (http\S+)/)
  const reply = fetch(`${origin}/?ms=${requestMs}`).then(
    (response) => response.text(),
    () => 'cut',
  )
  await program.find(/asked/)
  return { program, reply }
}

describe.skipIf(process.platform === 'win32')('a request in flight', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'is answered after %s to the whole process group, and nothing is left of it',
    async (signal) => {
      const { program, reply } = await asked(10_000, 700)
      program.signalGroup(signal)
      expect(await reply).toBe('answered after 700')
      expect(await program.ended).toBe(0)
      expect(program.output()).toMatch(/asked\ndraining\nanswering\n$/)
      expect(groupOf(program.child.pid!) ?? []).toEqual([])
    },
  )

  it('is cut when the limit is over', async () => {
    const { program, reply } = await asked(300, 60_000)
    program.signalGroup('SIGINT')
    expect(await reply).toBe('cut')
    expect(await program.ended).toBe(0)
  })

  it('is cut by a second Ctrl-C', async () => {
    const { program, reply } = await asked(60_000, 60_000)
    program.signalGroup('SIGINT')
    await program.find(/draining/)
    program.signalGroup('SIGINT')
    expect(await program.ended).toBe(130)
    expect(await reply).toBe('cut')
  })

  it('is answered even when Node is killed, and workerd ends with it', async () => {
    const { program, reply } = await asked(10_000, 700)
    program.child.kill('SIGKILL')
    expect(await reply).toBe('answered after 700')
    await expect.poll(() => groupOf(program.child.pid!) ?? [], { timeout: 5_000 }).toEqual([])
  })
})
