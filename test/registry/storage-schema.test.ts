/** The page about the schema and the schema itself say the same. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { textOf } from '#src/registry/columns.ts'
import { openRegistry } from './open-registry.ts'

const page = readFileSync(new URL('../../docs/storage-schema.md', import.meta.url), 'utf8')

describe('docs/storage-schema.md', () => {
  const { database } = openRegistry()
  const tables = database
    .exec("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .map((row) => textOf(row, 'name'))

  it('has a section for every table and no other', () => {
    const sections = [...page.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
    expect(sections.sort()).toEqual(tables)
  })

  it.each(tables)('names every column and index of %s', (table) => {
    const section = page.split(`\n## ${table}\n`)[1]!.split('\n## ')[0]!
    const columns = database.exec(`SELECT name FROM pragma_table_info('${table}')`).map((row) => textOf(row, 'name'))
    const indexes = database
      .exec("SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND name NOT LIKE 'sqlite_%'", table)
      .map((row) => textOf(row, 'name'))
    for (const name of [...columns, ...indexes]) expect(section).toContain(`\`${name}\``)
  })
})
