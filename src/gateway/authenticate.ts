/**
 * Bearer token to principal, without I/O: the token's SHA-256 is looked up by its first bytes and then compared whole in
 * constant time, so that timing tells nothing about stored hashes.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { hexOf } from '#contracts/bytes.ts'
import { badRequest, type ServingError, unauthenticated } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { adminGroup, everyoneGroup, type Principal, type TokenRecord } from '#contracts/registry.ts'

const bucketDigits = 8
const encoder = new TextEncoder()

/** Tokens by the first digits of their hash. */
export type TokenIndex = ReadonlyMap<string, readonly TokenRecord[]>

export function indexTokens(tokens: readonly TokenRecord[]): TokenIndex {
  const index = new Map<string, TokenRecord[]>()
  for (const token of tokens) {
    const bucket = token.hash.slice(0, bucketDigits)
    index.set(bucket, [...(index.get(bucket) ?? []), token])
  }
  return index
}

/** The administrator's token is given to the dispatcher at start as a hash and is not in the registry. */
export function adminToken(hash: string): TokenRecord {
  const principal: Principal = { name: 'admin', kind: 'user', groups: [adminGroup, everyoneGroup] }
  return { tokenId: 'admin', hash, principal, comment: 'the administrator token', createdMs: 0, expiresMs: null }
}

/** The token of a request: `Authorization: Bearer …`, or `x-api-key` as Anthropic clients send it. */
export function bearerToken(headers: Headers): string {
  const authorization = headers.get('authorization')
  if (authorization !== null) {
    if (authorization.length > limits.authorizationBytes)
      throw badRequest(`The Authorization header is longer than ${limits.authorizationBytes} bytes.`)
    const match = /^bearer +([^\s]+) *$/i.exec(authorization)
    if (!match) throw unauthenticated('The Authorization header must read "Bearer TOKEN".')
    return match[1]!
  }
  const key = headers.get('x-api-key')
  if (key === null || key === '') throw unauthenticated('A token is required: send "Authorization: Bearer TOKEN".')
  if (key.length > limits.authorizationBytes)
    throw badRequest(`The x-api-key header is longer than ${limits.authorizationBytes} bytes.`)
  return key
}

/** Lower-case hex SHA-256 of a token: at once, because a promise from `crypto.subtle` costs several times one block's hash. */
export function hashToken(token: string): string {
  return hexOf(sha256(encoder.encode(token)))
}

/** @throws {ServingError} 401 for a token that is unknown, revoked or expired; the three are not told apart. */
export function principalOf(hash: string, tokens: TokenIndex, nowMs: number): Principal {
  let found: TokenRecord | undefined
  for (const token of tokens.get(hash.slice(0, bucketDigits)) ?? []) {
    if (equalInConstantTime(token.hash, hash)) found = token
  }
  if (!found || (found.expiresMs !== null && found.expiresMs <= nowMs)) throw refused
  return found.principal
}

const refused: ServingError = unauthenticated('The token is not valid.')

function equalInConstantTime(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at)
  return difference === 0
}
