/**
 * Reading columns by type. The schema's STRICT tables guarantee what lies in a column, so a value of another type means
 * that statement and schema disagree: a fault of ours, told at once.
 */
import type { SqlRow, SqlValue } from './sql-database.ts'

export function textOf(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw wrongColumn(column, 'text', value)
  return value
}

export function integerOf(row: SqlRow, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw wrongColumn(column, 'an integer', value)
  return value
}

export function textOrNull(row: SqlRow, column: string): string | null {
  return row[column] === null ? null : textOf(row, column)
}

export function integerOrNull(row: SqlRow, column: string): number | null {
  return row[column] === null ? null : integerOf(row, column)
}

/** A JSON column; its shape was checked when it was written. */
export function jsonOf<T>(row: SqlRow, column: string): T {
  return JSON.parse(textOf(row, column)) as T
}

function wrongColumn(column: string, expected: string, value: SqlValue | undefined): TypeError {
  return new TypeError(`Column ${column} holds ${value === null ? 'null' : typeof value}, not ${expected}.`)
}
