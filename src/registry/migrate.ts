/** Bringing a database, new or of an older glim, to the schema that this code knows. */
import { internal } from '#contracts/errors.ts'
import { textOf } from './columns.ts'
import { type Migration, migrations as released } from './migrations.ts'
import type { SqlDatabase } from './sql-database.ts'

/**
 * Applies the steps that the database has not seen, all in one transaction.
 *
 * @throws {ServingError} 500 where the database was written by a newer or a different glim; nothing is changed then.
 */
export function migrate(database: SqlDatabase, nowMs: number, migrations: readonly Migration[] = released): void {
  database.transaction(() => {
    database.exec(
      'CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT',
    )
    const applied = database.exec('SELECT name FROM migrations ORDER BY step').map((row) => textOf(row, 'name'))
    refuseForeign(applied, migrations)
    for (const [index, migration] of migrations.entries()) {
      if (index < applied.length) continue
      for (const statement of migration.statements) database.exec(statement)
      database.exec(
        'INSERT INTO migrations (step, name, applied_ms) VALUES (?, ?, ?)',
        index + 1,
        migration.name,
        nowMs,
      )
    }
  })
}

function refuseForeign(applied: readonly string[], migrations: readonly Migration[]): void {
  if (applied.length > migrations.length) {
    throw internal(
      `The registry has schema ${applied.length}, and this glim knows up to ${migrations.length}: a newer glim wrote it. ` +
        'Update glim, or start it on another state folder.',
    )
  }
  const strange = applied.findIndex((name, index) => name !== migrations[index]?.name)
  if (strange < 0) return
  throw internal(
    `Step ${strange + 1} of the registry's schema is "${applied[strange]}", where this glim has "${migrations[strange]?.name}": ` +
      'another glim wrote it. Start on another state folder.',
  )
}
