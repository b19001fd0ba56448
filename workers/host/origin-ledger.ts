/**
 * What was learnt of files at their origin: the shards of those that were read whole and verified, and how far an interrupted
 * read had come. It survives a crash, so that a download continues and verification never has to be taken on trust again.
 */
import type { Digest, Origin, Shard } from '#contracts/manifest.ts'

export interface OriginRecord {
  shards: Shard[]
  etag: string | undefined
  /** Whether all shards are known and the whole was verified or pinned. */
  complete: boolean
}

export interface ShardPlace {
  origin: Origin
  offset: number
  sizeBytes: number
  etag: string | undefined
}

export class OriginLedger {
  readonly #sql: DurableObjectStorage['sql']

  constructor({ sql }: DurableObjectStorage) {
    this.#sql = sql
    sql.exec(`CREATE TABLE IF NOT EXISTS origin_files (
      origin TEXT PRIMARY KEY, digest TEXT, etag TEXT, pinned INTEGER NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0)`)
    sql.exec(`CREATE TABLE IF NOT EXISTS origin_shards (
      origin TEXT NOT NULL, position INTEGER NOT NULL, digest TEXT NOT NULL, offset_bytes INTEGER NOT NULL,
      size_bytes INTEGER NOT NULL, PRIMARY KEY (origin, position))`)
    sql.exec('CREATE INDEX IF NOT EXISTS origin_shards_by_digest ON origin_shards (digest)')
  }

  read(origin: Origin): OriginRecord {
    const key = keyOf(origin)
    const [file] = this.#sql.exec('SELECT etag, complete FROM origin_files WHERE origin = ?', key).toArray()
    const rows = this.#sql.exec('SELECT digest, size_bytes FROM origin_shards WHERE origin = ? ORDER BY position', key)
    return {
      shards: rows.toArray().map((row) => ({ digest: row.digest as Digest, sizeBytes: Number(row.size_bytes) })),
      etag: (file?.etag as string | null | undefined) ?? undefined,
      complete: file?.complete === 1,
    }
  }

  addShard(origin: Origin, shard: Shard, etag: string | undefined): void {
    const key = keyOf(origin)
    this.#sql.exec(
      'INSERT INTO origin_files (origin, etag) VALUES (?, ?) ON CONFLICT DO UPDATE SET etag = excluded.etag',
      key,
      etag ?? null,
    )
    this.#sql.exec(
      `INSERT INTO origin_shards (origin, position, digest, offset_bytes, size_bytes)
        SELECT ?, COUNT(*), ?, COALESCE(SUM(size_bytes), 0), ? FROM origin_shards WHERE origin = ?`,
      key,
      shard.digest,
      shard.sizeBytes,
      key,
    )
  }

  complete(origin: Origin, digest: Digest, pinned: boolean): void {
    this.#sql.exec(
      'UPDATE origin_files SET digest = ?, pinned = ?, complete = 1 WHERE origin = ?',
      digest,
      Number(pinned),
      keyOf(origin),
    )
  }

  forget(origin: Origin): void {
    this.#sql.exec('DELETE FROM origin_shards WHERE origin = ?', keyOf(origin))
    this.#sql.exec('DELETE FROM origin_files WHERE origin = ?', keyOf(origin))
  }

  /** Where a shard can be had again; only of files that were verified whole. */
  placeOf(digest: Digest): ShardPlace | null {
    const [row] = this.#sql
      .exec(
        `SELECT origin, offset_bytes, size_bytes, etag FROM origin_shards JOIN origin_files USING (origin)
          WHERE origin_shards.digest = ? AND complete = 1 LIMIT 1`,
        digest,
      )
      .toArray()
    if (!row) return null
    return {
      origin: JSON.parse(String(row.origin)) as Origin,
      offset: Number(row.offset_bytes),
      sizeBytes: Number(row.size_bytes),
      etag: (row.etag as string | null) ?? undefined,
    }
  }
}

function keyOf({ repository, revision, path }: Origin): string {
  return JSON.stringify({ repository, revision, path })
}
