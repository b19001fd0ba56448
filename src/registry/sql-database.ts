/**
 * All that the registry asks of a database: SQLite's dialect, synchronous, one writer. A Durable Object's storage and
 * Node's own SQLite both are that, and being synchronous is what makes a change and its revision one step.
 */
export type SqlValue = string | number | null
export type SqlRow = Readonly<Record<string, SqlValue>>

export interface SqlDatabase {
  /** Runs one statement with `?` parameters and returns its rows; a statement that yields none returns an empty list. */
  exec(sql: string, ...params: readonly SqlValue[]): SqlRow[]
  /** Runs `body` so that all of its statements hold or, where it throws, none does. Never nested. */
  transaction<T>(body: () => T): T
}
