/** Bearer tokens at rest. The registry sees only their SHA-256, so reading its file gives nobody access. */
import { alreadyExists, doesNotExist } from '#contracts/errors.ts'
import type { Principal, TokenRecord } from '#contracts/registry.ts'
import { integerOf, integerOrNull, jsonOf, textOf } from './columns.ts'
import type { SqlDatabase, SqlRow } from './sql-database.ts'

export function insertToken(database: SqlDatabase, token: TokenRecord): void {
  const { principal } = token
  const [same] = database.exec('SELECT token_id FROM tokens WHERE hash = ?', token.hash)
  if (same) throw alreadyExists(`The same token already exists as ${textOf(same, 'token_id')}.`)
  database.exec(
    `INSERT INTO tokens
      (token_id, hash, principal_name, principal_kind, principal_groups, comment, created_ms, expires_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    token.tokenId,
    token.hash,
    principal.name,
    principal.kind,
    JSON.stringify(principal.groups),
    token.comment,
    token.createdMs,
    token.expiresMs,
  )
}

/** All tokens, oldest first, those that have expired included: their owner may wonder where one went. */
export function readTokens(database: SqlDatabase): TokenRecord[] {
  return database.exec('SELECT * FROM tokens ORDER BY created_ms, token_id').map(tokenFrom)
}

/** Tokens that still open something at `nowMs`. */
export function readLiveTokens(database: SqlDatabase, nowMs: number): TokenRecord[] {
  return database
    .exec('SELECT * FROM tokens WHERE expires_ms IS NULL OR expires_ms > ? ORDER BY created_ms, token_id', nowMs)
    .map(tokenFrom)
}

export function deleteToken(database: SqlDatabase, tokenId: string): void {
  const [gone] = database.exec('DELETE FROM tokens WHERE token_id = ? RETURNING token_id', tokenId)
  if (!gone) throw doesNotExist(`Token ${tokenId} does not exist.`)
}

function tokenFrom(row: SqlRow): TokenRecord {
  return {
    tokenId: textOf(row, 'token_id'),
    hash: textOf(row, 'hash'),
    principal: {
      name: textOf(row, 'principal_name'),
      kind: textOf(row, 'principal_kind') as Principal['kind'],
      groups: jsonOf(row, 'principal_groups'),
    },
    comment: textOf(row, 'comment'),
    createdMs: integerOf(row, 'created_ms'),
    expiresMs: integerOrNull(row, 'expires_ms'),
  }
}
