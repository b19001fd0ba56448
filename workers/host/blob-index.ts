/** What the model cache knows of the blobs on disk, in SQL: sizes and last use, for the quota and for collection. */
import type { Digest } from '#contracts/manifest.ts'
import type { IndexedBlob, UsageIndex } from '#model-cache/usage-index.ts'

export interface BlobIndex extends UsageIndex {
  /** When the blob was written or last used. */
  usedMs(digest: Digest): number | null
}

export function blobIndex({ sql }: DurableObjectStorage): BlobIndex {
  sql.exec(
    'CREATE TABLE IF NOT EXISTS blobs (digest TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, used_ms INTEGER NOT NULL)',
  )
  sql.exec('CREATE INDEX IF NOT EXISTS blobs_by_use ON blobs (used_ms)')
  // Kept here, because summing up a large cache for every shard that comes in would be quadratic.
  let totalBytes = Number(sql.exec('SELECT COALESCE(SUM(size_bytes), 0) AS total FROM blobs').toArray()[0]!.total)

  const sizeOf = (digest: Digest) =>
    sql.exec('SELECT size_bytes FROM blobs WHERE digest = ?', digest).toArray()[0]?.size_bytes
  const remove = (digest: Digest) => {
    totalBytes -= Number(sizeOf(digest) ?? 0)
    sql.exec('DELETE FROM blobs WHERE digest = ?', digest)
  }
  return {
    put(digest, sizeBytes) {
      remove(digest)
      sql.exec('INSERT INTO blobs (digest, size_bytes, used_ms) VALUES (?, ?, ?)', digest, sizeBytes, Date.now())
      totalBytes += sizeBytes
    },
    touch: (digest) => void sql.exec('UPDATE blobs SET used_ms = ? WHERE digest = ?', Date.now(), digest),
    delete: remove,
    has: (digest) => sizeOf(digest) !== undefined,
    totalBytes: () => totalBytes,
    candidates: () =>
      sql
        .exec('SELECT digest, size_bytes FROM blobs ORDER BY used_ms')
        .toArray()
        .map((row): IndexedBlob => ({ digest: row.digest as Digest, sizeBytes: Number(row.size_bytes) })),
    usedMs(digest) {
      const [row] = sql.exec('SELECT used_ms FROM blobs WHERE digest = ?', digest).toArray()
      return row ? Number(row.used_ms) : null
    },
  }
}
