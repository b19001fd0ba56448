/**
 * The responses of one principal at rest: a Durable Object with SQLite for each of them, so that nobody's query can reach
 * another's conversations. Keeps 30 days, as OpenAI does, and the newest within the bounds below.
 */
import { DurableObject } from 'cloudflare:workers'
import type { DispatcherEnv } from './env.ts'

const keepMs = 30 * 24 * 3600 * 1000
const mostResponses = 1_000
const mostBytes = 64 * 1024 * 1024
/** A Durable Object's row has at most 2 MB. */
const mostBytesEach = 1_900_000

const encoder = new TextEncoder()

export class ResponseStoreObject extends DurableObject<DispatcherEnv> {
  constructor(ctx: DurableObjectState, env: DispatcherEnv) {
    super(ctx, env)
    ctx.storage.sql.exec(`CREATE TABLE IF NOT EXISTS responses (
      id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, size_bytes INTEGER NOT NULL, body TEXT NOT NULL
    ) STRICT`)
    ctx.storage.sql.exec('CREATE INDEX IF NOT EXISTS responses_by_time ON responses (created_ms)')
  }

  /** The JSON of a `StoredResponse`, or null. */
  get(id: string): string | null {
    const sql = 'SELECT body FROM responses WHERE id = ? AND created_ms >= ?'
    const [row] = this.ctx.storage.sql.exec(sql, id, Date.now() - keepMs).toArray()
    return row ? (row.body as string) : null
  }

  /** Resolves to whether it is kept: false for what is larger than a row can be. */
  async put(id: string, body: string): Promise<boolean> {
    const sizeBytes = encoder.encode(body).byteLength
    if (sizeBytes > mostBytesEach) return false
    const { sql } = this.ctx.storage
    sql.exec(
      'INSERT OR REPLACE INTO responses (id, created_ms, size_bytes, body) VALUES (?, ?, ?, ?)',
      id,
      Date.now(),
      sizeBytes,
      body,
    )
    sql.exec(
      `DELETE FROM responses WHERE id IN (
        SELECT id FROM (
          SELECT id, ROW_NUMBER() OVER newest AS position, SUM(size_bytes) OVER newest AS total_bytes
          FROM responses WINDOW newest AS (ORDER BY created_ms DESC, rowid DESC)
        ) WHERE position > ? OR total_bytes > ?
      )`,
      mostResponses,
      mostBytes,
    )
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + keepMs)
    return true
  }

  delete(id: string): boolean {
    return this.ctx.storage.sql.exec('DELETE FROM responses WHERE id = ? RETURNING id', id).toArray().length > 0
  }

  /** Forgets what is too old, and comes again for what will be. */
  async alarm(): Promise<void> {
    const { sql } = this.ctx.storage
    sql.exec('DELETE FROM responses WHERE created_ms < ?', Date.now() - keepMs)
    const [row] = sql.exec('SELECT MIN(created_ms) AS oldest_ms FROM responses').toArray()
    if (typeof row?.oldest_ms === 'number') await this.ctx.storage.setAlarm(row.oldest_ms + keepMs)
  }
}
