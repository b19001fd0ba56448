/** What the directory store promises when writers are killed or meet. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDirectoryStore } from '#model-cache/stores/directory.ts'
import { randomFrom, sha256 } from './support/bytes.ts'

const writer = fileURLToPath(new URL('support/directory-writer.ts', import.meta.url))
const blobBytes = 200_000

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'glim-directory-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function startWriter(seed: number, count: number): ChildProcess {
  return spawn(process.execPath, [writer, folder, String(seed), String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function filesOf(suffix: RegExp): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && suffix.test(entry.name)).map(({ name }) => name)
}

/** Every blob that is there under its name, read as a reader would. */
async function storedDigests(): Promise<Set<string>> {
  const store = await openDirectoryStore(folder)
  const digests = filesOf(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}` as const)
  for (const digest of digests) expect(sha256((await store.get(digest))!)).toBe(digest)
  return new Set(digests)
}

describe('the directory store', () => {
  it('never serves a bad shard after writers were killed, and goes on where they were', async () => {
    const random = randomFrom(41)
    for (let round = 0; round < 8; round++) {
      const child = startWriter(1, 10_000)
      const killAfter = 1 + random.below(12)
      for (let written = 0; written < killAfter; )
        written += String((await once(child.stdout!, 'data'))[0]).split('\n').length - 1
      child.kill('SIGKILL')
      await once(child, 'exit')
      expect((await storedDigests()).size).toBeGreaterThanOrEqual(killAfter)
    }
    const last = startWriter(1, 60)
    last.stdout!.resume()
    expect(await once(last, 'exit')).toEqual([0, null])
    const all = randomFrom(1)
    const digests = await storedDigests()
    for (let blob = 0; blob < 60; blob++) expect(digests).toContain(sha256(all.bytes(blobBytes)))
  })

  it('lets two processes import the same blobs at once', async () => {
    const children = [startWriter(2, 40), startWriter(2, 40)]
    const exits = children.map(async (child) => {
      child.stdout!.resume()
      return once(child, 'exit')
    })
    expect(await Promise.all(exits)).toEqual([
      [0, null],
      [0, null],
    ])
    expect((await storedDigests()).size).toBe(40)
    expect(filesOf(/\.part$/)).toEqual([])
  })

  it('clears away what killed writers left, and not what living ones write', async () => {
    const hex = sha256(Uint8Array.of(1)).slice('sha256:'.length)
    const [old, young] = ['old', 'young'].map((name) => join(folder, `${hex}.${name}.part`))
    for (const path of [old!, young!]) writeFileSync(path, 'half')
    utimesSync(old!, 1_000, 1_000)
    await openDirectoryStore(folder)
    expect(filesOf(/\.part$/)).toEqual([`${hex}.young.part`])
  })

  it('leaves nothing behind when a write fails', async () => {
    const store = await openDirectoryStore(folder)
    const digest = sha256(Uint8Array.of(1))
    const hex = digest.slice('sha256:'.length)
    writeFileSync(join(folder, hex.slice(0, 2)), 'a file where a folder should be')
    await expect(store.put(digest, Uint8Array.of(1))).rejects.toThrow()
    expect(filesOf(/\.part$/)).toEqual([])
  })
})
