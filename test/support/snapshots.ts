/** Heap snapshots as tests see them: files of the model cache that no manifest names, and lines of the service log. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { TestServer } from './server.ts'

/** Paths of all blobs on disk. */
export async function blobFiles(home: string): Promise<string[]> {
  const entries = await readdir(join(home, 'blobs'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

export interface ServedModel {
  server: Pick<TestServer, 'send'>
  /** Endpoint and registered model of the same name, version 1. */
  name: string
}

export async function serviceLog({ server, name }: ServedModel): Promise<string> {
  const { json } = await server.send('GET', `/api/2.0/serving-endpoints/${name}/served-models/${name}-1/logs`)
  return json.logs
}

/** The reason for each load since the endpoint came up, oldest first: `from its snapshot`, `there is no snapshot yet` … */
export async function loadsOf(model: ServedModel): Promise<string[]> {
  const lines = (await serviceLog(model)).split('\n').filter((line) => line.includes(' loaded: '))
  return lines.map((line) => line.replace(/^.*\), /, ''))
}

/** Resolves once the endpoint is scaled to zero. */
export async function scaledToZero({ server, name }: ServedModel): Promise<void> {
  await vi.waitFor(
    async () => {
      const { text } = await server.send('GET', `/api/2.0/serving-endpoints/${name}`)
      if (!text.includes('Scaled to zero')) throw new Error(`${name} is not cold`)
    },
    { timeout: 20_000, interval: 50 },
  )
}
