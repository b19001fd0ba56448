/**
 * The invocation log at rest: a Durable Object with SQLite, written in batches, read by metrics. Keeps 14 days.
 *
 * A batch is one row that holds its invocations as JSON, because a row and an index entry for each of them would be a tenth of
 * what a whole request may cost the dispatcher. The view `invocations` unpacks them for everybody who reads.
 */
import { DurableObject } from 'cloudflare:workers'
import type { InvocationRow } from '#contracts/usage.ts'
import { type MetricsOptions, metricsText, windowMs } from '#src/usage/metrics.ts'
import type { DispatcherEnv } from './env.ts'

const keepMs = 14 * 24 * 3600 * 1000
const sweepEveryBatches = 1_000
/** A batch is named by its first row, and no invocation lasts longer than this, so a batch may begin so much before a row ends. */
const longestBatchMs = 300_000

/** Column of the view, and the field of an `InvocationRow` that it shows. */
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

const createView = `CREATE VIEW IF NOT EXISTS invocations AS
  SELECT first_ms, ${Object.entries(columns)
    .map(([column, field]) => `value ->> '${field}' AS ${column}`)
    .join(', ')} FROM batches, json_each(rows)`

export class InvocationLogObject extends DurableObject<DispatcherEnv> {
  #batches = 0

  constructor(ctx: DurableObjectState, env: DispatcherEnv) {
    super(ctx, env)
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS batches (first_ms INTEGER NOT NULL, rows TEXT NOT NULL)')
    ctx.storage.sql.exec('CREATE INDEX IF NOT EXISTS batches_by_time ON batches (first_ms)')
    ctx.storage.sql.exec(createView)
  }

  /** @param rows a JSON list of `InvocationRow`; @param firstMs when the first of them started. */
  append(firstMs: number, rows: string): void {
    this.ctx.storage.sql.exec('INSERT INTO batches (first_ms, rows) VALUES (?, ?)', firstMs, rows)
    this.#batches += 1
    if (this.#batches % sweepEveryBatches !== 1) return
    this.ctx.storage.sql.exec('DELETE FROM batches WHERE first_ms < ?', Date.now() - keepMs)
  }

  /**
   * The metrics of some endpoints over the last minute as text. Made here, because the rows of a busy minute are more than one
   * RPC may carry.
   */
  metrics(endpointIds: readonly string[], options: Omit<MetricsOptions, 'rows'>): string {
    const sinceMs = Date.now() - windowMs
    const rows = this.ctx.storage.sql.exec(
      `SELECT * FROM invocations WHERE first_ms >= ? AND started_ms >= ?
        AND endpoint_id IN (SELECT value FROM json_each(?)) ORDER BY started_ms`,
      sinceMs - longestBatchMs,
      sinceMs,
      JSON.stringify(endpointIds),
    )
    return metricsText({ ...options, rows: rows.toArray().map(rowOf) })
  }
}

function rowOf(row: Record<string, unknown>): InvocationRow {
  const fields = Object.entries(columns).map(([column, field]) => [field, row[column]])
  return Object.fromEntries(fields) as unknown as InvocationRow
}
