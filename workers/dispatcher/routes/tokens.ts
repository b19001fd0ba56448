/** Bearer tokens: made once and shown once, kept as a hash, revocable, with a life time. */
import * as z from 'zod'
import { base64Of } from '#contracts/bytes.ts'
import { permissionDenied } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { parseBody } from '#contracts/parse.ts'
import { everyoneGroup, isAdmin, type Principal, type TokenRecord } from '#contracts/registry.ts'
import { hashToken } from '#src/gateway/authenticate.ts'
import { jsonBody } from '../bodies.ts'
import { type Call, json } from '../call.ts'

const name = z.string().min(1).max(255)

const createSchema = z.object({
  comment: z.string().max(1_000).optional(),
  /** Absent: the token does not expire. */
  lifetime_seconds: z.number().int().positive().max(limits.tokenLifetimeSeconds).nullish(),
  /** Whose token it is; administrators may make tokens for others. */
  user_name: name.optional(),
  service_principal_name: name.optional(),
  groups: z.array(name).max(64).optional(),
})

export async function createToken(call: Call): Promise<Response> {
  const body = parseBody(createSchema, await jsonBody(call))
  const principal = principalFor(call.principal, body)
  const token = `glim_${base64Of(crypto.getRandomValues(new Uint8Array(32)))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')}`
  const record = await call.services.registry.createToken({
    hash: hashToken(token),
    principal,
    comment: body.comment ?? '',
    expiresMs: body.lifetime_seconds ? Date.now() + body.lifetime_seconds * 1_000 : null,
  })
  return json({ token_value: token, token_info: infoOf(record) })
}

/** The caller's own tokens; all of them for administrators. */
export async function listTokens(call: Call): Promise<Response> {
  const tokens = await call.services.registry.listTokens()
  return json({ token_infos: tokens.filter((token) => mayManage(call.principal, token)).map(infoOf) })
}

export async function deleteToken(call: Call): Promise<Response> {
  const { token_id } = parseBody(z.object({ token_id: z.string() }), await jsonBody(call))
  const tokens = await call.services.registry.listTokens()
  const token = tokens.find((candidate) => candidate.tokenId === token_id)
  if (token && !mayManage(call.principal, token)) throw permissionDenied(`Token ${token_id} is not yours.`)
  await call.services.registry.revokeToken(token_id)
  return json({})
}

/** Who is calling, as SCIM says it. */
export function whoAmI({ principal }: Call): Response {
  return json({
    id: principal.name,
    userName: principal.name,
    displayName: principal.name,
    active: true,
    emails: principal.name.includes('@') ? [{ value: principal.name, primary: true }] : [],
    groups: principal.groups.map((group) => ({ display: group, value: group })),
  })
}

function principalFor(caller: Principal, body: z.infer<typeof createSchema>): Principal {
  const forOther = body.user_name ?? body.service_principal_name
  if (forOther === undefined && body.groups === undefined) return caller
  if (!isAdmin(caller)) throw permissionDenied('Only administrators make tokens for others or choose groups.')
  return {
    name: forOther ?? caller.name,
    kind: body.service_principal_name === undefined ? 'user' : 'service_principal',
    groups: [...new Set([...(body.groups ?? []), everyoneGroup])],
  }
}

function mayManage(caller: Principal, token: TokenRecord): boolean {
  return isAdmin(caller) || (token.principal.name === caller.name && token.principal.kind === caller.kind)
}

function infoOf({ tokenId, createdMs, expiresMs, comment, principal }: TokenRecord) {
  return {
    token_id: tokenId,
    creation_time: createdMs,
    // The reference's −1 stands for "never".
    expiry_time: expiresMs ?? -1,
    comment,
    created_by_username: principal.name,
    groups: principal.groups,
  }
}
