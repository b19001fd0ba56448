import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { boundedStore } from '#model-cache/quota.ts'
import { openDirectoryStore } from '#model-cache/stores/directory.ts'
import { hubStore } from '#model-cache/stores/hub.ts'
import { memoryStore } from '#model-cache/stores/memory.ts'
import { tieredStore } from '#model-cache/stores/tiers.ts'
import { memoryUsageIndex } from '#model-cache/usage-index.ts'
import { blobStoreContract } from '../contract/blob-store.ts'
import { sha256 } from './support/bytes.ts'
import { type OriginServer, startOrigin } from './support/origin-server.ts'
import { startWorkerStores, type WorkerStores } from './support/worker-stores.ts'

let workerStores: WorkerStores
let folder: string
const origins: OriginServer[] = []

beforeAll(async () => {
  workerStores = await startWorkerStores()
  folder = mkdtempSync(join(tmpdir(), 'glim-directory-'))
})

afterAll(async () => {
  await workerStores?.stop()
  for (const origin of origins) await origin.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('the memory store', () => blobStoreContract(async () => memoryStore()))

describe('the directory store', () => {
  blobStoreContract(async () => openDirectoryStore(mkdtempSync(join(folder, 'store-'))))
})

describe('the tiered store', () => {
  blobStoreContract(async () => tieredStore([memoryStore('near'), memoryStore('far')]))
})

describe('the bounded store', () => {
  blobStoreContract(async () => boundedStore(memoryStore(), memoryUsageIndex(), { quotaBytes: 2 ** 24 }))
})

describe.each(['disk', 'disk-with-buffers', 'r2', 'cache-api'] as const)('in workerd, the store %s', (kind) => {
  blobStoreContract(async () => workerStores.open(kind))
})

describe('the hub store', () => {
  blobStoreContract({
    readOnly: 'an origin is somebody else’s',
    async holding(blobs) {
      const origin = await startOrigin(Buffer.concat(blobs))
      origins.push(origin)
      let offset = 0
      const places = blobs.map((blob) => {
        const place = { digest: sha256(blob), url: origin.url, offset, sizeBytes: blob.byteLength }
        offset += blob.byteLength
        return place
      })
      return hubStore({ fetch, locate: (digest) => places.find((place) => place.digest === digest) ?? null })
    },
  })
})
