/** The registry's database in a Durable Object, under workerd and on the network. */
import type { SqlDatabase, SqlRow, SqlValue } from '../sql-database.ts'

/** What is used of a `DurableObjectStorage`, spelled out so that nothing here depends on a platform's type package. */
export interface DurableObjectSql {
  readonly sql: {
    exec(query: string, ...bindings: SqlValue[]): { toArray(): Record<string, SqlValue | ArrayBuffer>[] }
  }
  transactionSync<T>(body: () => T): T
}

/** Statements are cached by the platform, so each call may pass its text again. */
export function durableObjectDatabase(storage: DurableObjectSql): SqlDatabase {
  return {
    // The schema has no BLOB column, so no row holds an ArrayBuffer.
    exec: (sql, ...params) => storage.sql.exec(sql, ...params).toArray() as SqlRow[],
    transaction: (body) => storage.transactionSync(body),
  }
}
