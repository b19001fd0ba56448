/** Facts about the registry as a whole. */
import { textOf } from './columns.ts'
import type { SqlDatabase } from './sql-database.ts'

/** Grows by one with every change; dispatchers compare it to know whether their snapshot is current. */
export function readRevision(database: SqlDatabase): number {
  const [row] = database.exec("SELECT value FROM meta WHERE key = 'revision'")
  return Number(textOf(row!, 'value'))
}

export function raiseRevision(database: SqlDatabase): void {
  database.exec("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'revision'")
}

/** Names of the endpoints that the first start installed; null before it did. */
export function readStarters(database: SqlDatabase): readonly string[] | null {
  const [row] = database.exec("SELECT value FROM meta WHERE key = 'starters'")
  return row ? (JSON.parse(textOf(row, 'value')) as string[]) : null
}

export function writeStarters(database: SqlDatabase, names: readonly string[]): void {
  database.exec(
    "INSERT INTO meta (key, value) VALUES ('starters', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    JSON.stringify(names),
  )
}
