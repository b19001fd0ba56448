/**
 * Bearer token to principal, without I/O: the token's SHA-256 is looked up by its first four bytes and then compared whole in
 * constant time, so that timing tells nothing about stored hashes.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { hexOf } from '#contracts/bytes.ts'
import { badRequest, type ServingError, unauthenticated } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { adminGroup, everyoneGroup, type Principal, type TokenRecord } from '#contracts/registry.ts'

const encoder = new TextEncoder()

interface IndexedToken {
  record: TokenRecord
  hash: Uint8Array
}

/** Tokens by the first four bytes of their hash. */
export type TokenIndex = ReadonlyMap<number, readonly IndexedToken[]>

export function indexTokens(tokens: readonly TokenRecord[]): TokenIndex {
  const index = new Map<number, IndexedToken[]>()
  for (const record of tokens) {
    const hash = bytesOfHex(record.hash)
    const bucket = bucketOf(hash)
    index.set(bucket, [...(index.get(bucket) ?? []), { record, hash }])
  }
  return index
}

/** The administrator's token is given to the dispatcher at start as a hash and is not in the registry. */
export function adminToken(hash: string): TokenRecord {
  const principal: Principal = { name: 'admin', kind: 'user', groups: [adminGroup, everyoneGroup] }
  return { tokenId: 'admin', hash, principal, comment: 'the administrator token', createdMs: 0, expiresMs: null }
}

/** Tokens whose digests are remembered; clients send the same few again and again. */
const mostRemembered = 256
/** The tokens that are given out are shorter than this. */
const longestRemembered = 128
const remembered = new Map<string, Uint8Array>()

/** Whose request this is. @throws {ServingError} 401 without a valid token, 400 for a header that is too long. */
export function authenticate(headers: Headers, tokens: TokenIndex, nowMs: number): Principal {
  const token = bearerToken(headers)
  const known = remembered.get(token)
  const hash = known ?? digestOfToken(token)
  // A remembered token is looked up as any other: it may have been revoked.
  const principal = principalOf(hash, tokens, nowMs)
  if (!known && token.length <= longestRemembered) {
    if (remembered.size >= mostRemembered) remembered.clear()
    remembered.set(token, hash)
  }
  return principal
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

/** Lower-case hex SHA-256 of a token, as it is stored. */
export function hashToken(token: string): string {
  return hexOf(digestOfToken(token))
}

/** SHA-256 of a token, at once: a promise from `crypto.subtle` costs ten times what one block's hash does. */
export function digestOfToken(token: string): Uint8Array {
  return sha256(encoder.encode(token))
}

/** @throws {ServingError} 401 for a token that is unknown, revoked or expired; the three are not told apart. */
export function principalOf(hash: Uint8Array, tokens: TokenIndex, nowMs: number): Principal {
  let found: TokenRecord | undefined
  for (const token of tokens.get(bucketOf(hash)) ?? []) {
    if (equalInConstantTime(token.hash, hash)) found = token.record
  }
  if (!found || (found.expiresMs !== null && found.expiresMs <= nowMs)) throw refused
  return found.principal
}

const refused: ServingError = unauthenticated('The token is not valid.')

function bucketOf(hash: Uint8Array): number {
  return (hash[0]! << 24) | (hash[1]! << 16) | (hash[2]! << 8) | hash[3]!
}

function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= a[at]! ^ b[at]!
  return difference === 0
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
}
