/** Bundles the workers once for all test files: each server of a test would otherwise do it again, and there are dozens. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'node:v8'
import type { TestProject } from 'vitest/node'
import { buildWorkers } from '#src/cli/build-workers.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** File with the serialised `BuiltWorkers`. */
    workersFile: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'glim-test-workers-'))
  const workersFile = join(folder, 'workers')
  await writeFile(workersFile, serialize(await buildWorkers()))
  project.provide('workersFile', workersFile)
  return () => rm(folder, { recursive: true, force: true })
}
