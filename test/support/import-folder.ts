/** Uploading and importing a model folder over the HTTP API, without the CLI. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { chooseGraph, companionsOf } from '#src/compiler/choose-graph.ts'
import type { Reply, TestServer } from './server.ts'

const shardBytes = 1024 * 1024

export async function importFolder(
  server: TestServer,
  folder: string,
  name: string,
  extra: Record<string, unknown> = {},
): Promise<Reply> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
  const graph = chooseGraph(paths, extra)
  const files = await Promise.all(
    [graph, ...companionsOf(graph, paths)].map(async (path) => ({ path, bytes: await readFile(join(folder, path)) })),
  )
  return importFiles(server, files, name, extra)
}

export async function importFiles(
  server: TestServer,
  files: readonly { path: string; bytes: Uint8Array }[],
  name: string,
  extra: Record<string, unknown> = {},
): Promise<Reply> {
  const artifacts = await Promise.all(files.map((file) => uploaded(server, file)))
  return server.send('POST', '/api/2.0/glim/models/import', { name, manifest: { version: 1, artifacts }, ...extra })
}

/** Creates an endpoint for a registered version and waits until it is no longer updating. */
export async function createEndpoint(server: TestServer, name: string, model: string, version = '1'): Promise<Reply> {
  const created = await server.send('POST', '/api/2.0/serving-endpoints', {
    name,
    config: { served_entities: [{ entity_name: model, entity_version: version, scale_to_zero_enabled: true }] },
  })
  return created.status === 200 ? waitForUpdate(server, name) : created
}

export async function waitForUpdate(server: TestServer, name: string): Promise<Reply> {
  for (;;) {
    const reply = await server.send('GET', `/api/2.0/serving-endpoints/${name}`)
    if (reply.json?.state?.config_update !== 'IN_PROGRESS') return reply
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function uploaded(server: TestServer, { path, bytes }: { path: string; bytes: Uint8Array }) {
  const shards = []
  for (let at = 0; at === 0 || at < bytes.byteLength; at += shardBytes) {
    const shard = bytes.subarray(at, at + shardBytes)
    const digest = digestOf(shard)
    await server.send('PUT', `/api/2.0/glim/blobs/${digest}`, new Uint8Array(shard))
    shards.push({ digest, sizeBytes: shard.byteLength })
  }
  return { path, sizeBytes: bytes.byteLength, digest: digestOf(bytes), shards }
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
