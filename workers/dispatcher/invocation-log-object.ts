/** The invocation log at rest: a Durable Object with SQLite, written in batches, read by metrics. Keeps 14 days. */
import { DurableObject } from 'cloudflare:workers'
import type { InvocationRow } from '#contracts/usage.ts'
import type { DispatcherEnv } from './env.ts'

const keepMs = 14 * 24 * 3600 * 1000
const sweepEveryRows = 1_000

const columns = [
  'request_id',
  'client_request_id',
  'endpoint_id',
  'endpoint',
  'entity',
  'model',
  'requester',
  'started_ms',
  'duration_ms',
  'status',
  'prompt_tokens',
  'completion_tokens',
  'run_ms',
  'load_ms',
] as const

export class InvocationLogObject extends DurableObject<DispatcherEnv> {
  #sinceSweep = 0

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

  append(rows: readonly InvocationRow[]): void {
    const insert = `INSERT INTO invocations (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`
    this.ctx.storage.transactionSync(() => {
      for (const row of rows) this.ctx.storage.sql.exec(insert, ...valuesOf(row))
    })
    this.#sinceSweep += rows.length
    if (this.#sinceSweep < sweepEveryRows) return
    this.#sinceSweep = 0
    this.ctx.storage.sql.exec('DELETE FROM invocations WHERE started_ms < ?', Date.now() - keepMs)
  }

  /** Rows that started at or after a time, of one endpoint or of all, oldest first. */
  since(startedMs: number, endpointId?: string): InvocationRow[] {
    const { sql } = this.ctx.storage
    const rows =
      endpointId === undefined
        ? sql.exec('SELECT * FROM invocations WHERE started_ms >= ? ORDER BY started_ms', startedMs)
        : sql.exec('SELECT * FROM invocations WHERE started_ms >= ? AND endpoint_id = ? ORDER BY started_ms', startedMs, endpointId)
    return rows.toArray().map(rowOf)
  }
}

function valuesOf(row: InvocationRow): (string | number | null)[] {
  return [
    row.requestId,
    row.clientRequestId,
    row.endpointId,
    row.endpoint,
    row.entity,
    row.model,
    row.requester,
    row.startedMs,
    row.durationMs,
    row.status,
    row.promptTokens,
    row.completionTokens,
    row.runMs,
    row.loadMs,
  ]
}

function rowOf(row: Record<string, unknown>): InvocationRow {
  return {
    requestId: String(row.request_id),
    clientRequestId: row.client_request_id as string | null,
    endpointId: String(row.endpoint_id),
    endpoint: String(row.endpoint),
    entity: row.entity as string | null,
    model: row.model as string | null,
    requester: String(row.requester),
    startedMs: Number(row.started_ms),
    durationMs: Number(row.duration_ms),
    status: Number(row.status),
    promptTokens: Number(row.prompt_tokens),
    completionTokens: Number(row.completion_tokens),
    runMs: Number(row.run_ms),
    loadMs: Number(row.load_ms),
  }
}
