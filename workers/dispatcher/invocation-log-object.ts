/** The invocation log at rest: a Durable Object with SQLite, written in batches, read by metrics. Keeps 14 days. */
import { DurableObject } from 'cloudflare:workers'
import type { InvocationRow } from '#contracts/usage.ts'
import type { DispatcherEnv } from './env.ts'

const keepMs = 14 * 24 * 3600 * 1000
const sweepEveryBatches = 1_000

/** Column, and the field of an `InvocationRow` that it holds. */
const columns = {
  request_id: 'requestId',
  client_request_id: 'clientRequestId',
  endpoint_id: 'endpointId',
  endpoint: 'endpoint',
  entity: 'entity',
  model: 'model',
  requester: 'requester',
  started_ms: 'startedMs',
  duration_ms: 'durationMs',
  status: 'status',
  prompt_tokens: 'promptTokens',
  completion_tokens: 'completionTokens',
  run_ms: 'runMs',
  load_ms: 'loadMs',
} as const satisfies Record<string, keyof InvocationRow>

/** One statement for a whole batch: SQLite unpacks the JSON itself. */
const insertBatch = `INSERT INTO invocations (${Object.keys(columns).join(', ')})
  SELECT ${Object.values(columns)
    .map((field) => `value ->> '${field}'`)
    .join(', ')} FROM json_each(?)`

export class InvocationLogObject extends DurableObject<DispatcherEnv> {
  #batches = 0

  constructor(ctx: DurableObjectState, env: DispatcherEnv) {
    super(ctx, env)
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS invocations (
        request_id TEXT NOT NULL, client_request_id TEXT, endpoint_id TEXT NOT NULL, endpoint TEXT NOT NULL, entity TEXT,
        model TEXT, requester TEXT NOT NULL, started_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, status INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, run_ms REAL NOT NULL, load_ms REAL NOT NULL)`,
    )
    ctx.storage.sql.exec('CREATE INDEX IF NOT EXISTS invocations_by_time ON invocations (started_ms)')
  }

  /** @param rows a JSON list of `InvocationRow`. */
  append(rows: string): void {
    this.ctx.storage.sql.exec(insertBatch, rows)
    this.#batches += 1
    if (this.#batches % sweepEveryBatches !== 1) return
    this.ctx.storage.sql.exec('DELETE FROM invocations WHERE started_ms < ?', Date.now() - keepMs)
  }

  /** Rows that started at or after a time, of one endpoint or of all, oldest first. */
  since(startedMs: number, endpointId?: string): InvocationRow[] {
    const { sql } = this.ctx.storage
    const rows =
      endpointId === undefined
        ? sql.exec('SELECT * FROM invocations WHERE started_ms >= ? ORDER BY started_ms', startedMs)
        : sql.exec(
            'SELECT * FROM invocations WHERE started_ms >= ? AND endpoint_id = ? ORDER BY started_ms',
            startedMs,
            endpointId,
          )
    return rows.toArray().map(rowOf)
  }
}

function rowOf(row: Record<string, unknown>): InvocationRow {
  const fields = Object.entries(columns).map(([column, field]) => [field, row[column]])
  return Object.fromEntries(fields) as unknown as InvocationRow
}
