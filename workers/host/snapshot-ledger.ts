/**
 * Which heap snapshots there are, and of which shards. A record is written once all of its shards are on disk, so that a process
 * that ends in between leaves unnamed blobs for collection and nothing that anybody would read.
 */
import type { Digest, Shard } from '#contracts/manifest.ts'

export class SnapshotLedger {
  readonly #storage: DurableObjectStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    storage.sql.exec('CREATE TABLE IF NOT EXISTS snapshots (key TEXT PRIMARY KEY, manifest TEXT NOT NULL)')
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS snapshot_shards (
      key TEXT NOT NULL, position INTEGER NOT NULL, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL,
      PRIMARY KEY (key, position))`)
    storage.sql.exec('CREATE INDEX IF NOT EXISTS snapshot_shards_by_digest ON snapshot_shards (digest)')
  }

  /** The shards in order; none where there is no such snapshot. */
  shardsOf(key: Digest): Shard[] {
    const rows = this.#storage.sql.exec(
      'SELECT digest, size_bytes FROM snapshot_shards WHERE key = ? ORDER BY position',
      key,
    )
    return rows.toArray().map((row) => ({ digest: row.digest as Digest, sizeBytes: Number(row.size_bytes) }))
  }

  put(key: Digest, manifest: Digest, shards: readonly Shard[]): void {
    const { sql } = this.#storage
    this.#storage.transactionSync(() => {
      this.forget(key)
      sql.exec('INSERT INTO snapshots (key, manifest) VALUES (?, ?)', key, manifest)
      for (const [position, { digest, sizeBytes }] of shards.entries()) {
        sql.exec(
          'INSERT INTO snapshot_shards (key, position, digest, size_bytes) VALUES (?, ?, ?, ?)',
          key,
          position,
          digest,
          sizeBytes,
        )
      }
    })
  }

  forget(key: Digest): void {
    this.#storage.sql.exec('DELETE FROM snapshots WHERE key = ?', key)
    this.#storage.sql.exec('DELETE FROM snapshot_shards WHERE key = ?', key)
  }

  /** Whether a blob is part of a snapshot, and can therefore be made again. */
  has(digest: Digest): boolean {
    return this.#storage.sql.exec('SELECT 1 FROM snapshot_shards WHERE digest = ? LIMIT 1', digest).toArray().length > 0
  }

  all(): { key: Digest; manifest: Digest }[] {
    const rows = this.#storage.sql.exec('SELECT key, manifest FROM snapshots').toArray()
    return rows.map((row) => ({ key: row.key as Digest, manifest: row.manifest as Digest }))
  }

  /** Bytes on disk of all snapshots of a version. */
  sizeOf(manifest: Digest): number {
    const rows = this.#storage.sql.exec(
      'SELECT COALESCE(SUM(size_bytes), 0) AS total FROM snapshot_shards JOIN snapshots USING (key) WHERE manifest = ?',
      manifest,
    )
    return Number(rows.toArray()[0]!.total)
  }
}
