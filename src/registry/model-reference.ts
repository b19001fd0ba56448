/**
 * How a model version is named: `NAME/VERSION`, `NAME@ALIAS` or just `NAME`, where NAME has one part (`intent`) or three
 * (`catalog.schema.model`). A leading `glim:` tells such a name from a source on some hub and means nothing more.
 */
import { invalidParameter } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { shown } from '#contracts/parse.ts'

export interface ModelReference {
  name: string
  version?: string
  alias?: string
}

const part = /^[A-Za-z0-9_-]+$/

/** @throws {ServingError} 400 naming `field`. */
export function parseModelReference(text: string, field: string): ModelReference {
  const bare = text.startsWith('glim:') ? text.slice('glim:'.length) : text
  const [, name = '', sign, rest = ''] = /^([^/@]*)(?:([/@])(.*))?$/s.exec(bare) ?? []
  checkModelName(name, field)
  if (sign === '/') return { name, version: checkVersion(rest, field) }
  if (sign === '@') return { name, alias: checkAlias(rest, field) }
  return { name }
}

export function checkModelName(name: string, field: string): string {
  const parts = name.split('.')
  if (
    (parts.length === 1 || parts.length === 3) &&
    parts.every((each) => part.test(each)) &&
    name.length <= limits.modelNameLength
  ) {
    return name
  }
  throw invalidParameter(
    field,
    `expected a model name of one part or three (catalog.schema.model) of letters, digits, "-" and "_", ` +
      `at most ${limits.modelNameLength} characters; ${shown(name)} came`,
  )
}

/** Versions are the integers from 1, written without leading zeros, so that one version has one name. */
export function checkVersion(version: string, field: string): string {
  if (/^[1-9][0-9]{0,8}$/.test(version)) return version
  throw invalidParameter(field, `expected a version number such as "1", ${shown(version)} came`)
}

export function checkAlias(alias: string, field: string): string {
  if (part.test(alias) && alias.length <= limits.modelNameLength) return alias
  throw invalidParameter(field, `expected an alias of letters, digits, "-" and "_", ${shown(alias)} came`)
}
