/** The registry's database in Node: the tests' reference, and the way to read a state folder from outside workerd. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { SqlDatabase, SqlRow, SqlValue } from '../sql-database.ts'

export class NodeDatabase implements SqlDatabase {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** @param path a file, or `:memory:`. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    this.#database.exec('PRAGMA journal_mode = WAL')
  }

  exec(sql: string, ...params: readonly SqlValue[]): SqlRow[] {
    return this.#prepared(sql).all(...params) as SqlRow[]
  }

  transaction<T>(body: () => T): T {
    // IMMEDIATE: a second process waits here instead of failing at its first write.
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = body()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#database.close()
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}
