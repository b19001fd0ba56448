/** What happened to one replica, as text lines that survive its isolate: loads, dousings, failures. Bounded. */
import { limits } from '#contracts/limits.ts'

export class ServiceLog {
  readonly #storage: DurableObjectStorage

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage
    storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, line TEXT NOT NULL)',
    )
  }

  append(line: string): void {
    const { sql } = this.#storage
    sql.exec('INSERT INTO log (at_ms, line) VALUES (?, ?)', Date.now(), line)
    sql.exec('DELETE FROM log WHERE id <= (SELECT MAX(id) FROM log) - ?', limits.serviceLogLines)
  }

  text(): string {
    const rows = this.#storage.sql.exec('SELECT at_ms, line FROM log ORDER BY id').toArray()
    return rows.map((row) => `${new Date(Number(row.at_ms)).toISOString()} ${row.line}\n`).join('')
  }
}
