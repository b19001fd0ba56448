/** Who may do what: every route of the table with every kind of bad token, then the permissions on endpoints. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { routes } from '../../workers/dispatcher/routes.ts'
import { expectError } from '../support/error-shape.ts'
import { createEndpoint, importFiles } from '../support/import-folder.ts'
import { embedderFiles } from '../support/onnx-model.ts'
import { adminTestToken, type Reply, startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let endpointId: string
const permissions = () => `/api/2.0/permissions/serving-endpoints/${endpointId}`

beforeAll(async () => {
  server = await startTestServer()
  await importFiles(server, embedderFiles(), 'words')
  endpointId = (await createEndpoint(server, 'words', 'words')).json.id
})
afterAll(() => server.stop())

async function tokenFor(user: string, more: object = {}): Promise<{ token: string; id: string }> {
  const reply = await server.send('POST', '/api/2.0/token/create', { user_name: user, ...more })
  expect(reply.status).toBe(200)
  return { token: reply.json.token_value, id: reply.json.token_info.token_id }
}

/** A path that the route takes. */
function pathOf(pattern: string): string {
  return pattern
    .replace(':digest', `sha256:${'0'.repeat(64)}`)
    .replace(':id', endpointId)
    .replace(':entity', 'words-1')
    .replace(/:\w+/g, 'words')
}

const secret = 'glim_not-a-token-but-a-secret'
const guarded = routes.filter((route) => route.access === 'token')

describe('every route but the public ones', () => {
  const tokens: Record<'revoked' | 'expired', string> = { revoked: '', expired: '' }
  beforeAll(async () => {
    const [revoked, expired] = [await tokenFor('rita'), await tokenFor('emil', { lifetime_seconds: 1 })]
    expect((await server.send('GET', '/v1/models', undefined, { token: revoked.token })).status).toBe(200)
    expect((await server.send('POST', '/api/2.0/token/delete', { token_id: revoked.id })).status).toBe(200)
    await vi.waitFor(
      async () =>
        expect((await server.send('GET', '/v1/models', undefined, { token: expired.token })).status).toBe(401),
      { timeout: 5_000 },
    )
    Object.assign(tokens, { revoked: revoked.token, expired: expired.token })
  })

  it('are few that take no token', () => {
    expect(routes.filter((route) => route.access === 'public').map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /health',
    ])
  })

  const cases: readonly [string, number, () => Record<string, string>][] = [
    ['no token', 401, () => ({})],
    ['a wrong token', 401, () => ({ authorization: `Bearer ${secret}` })],
    ['a wrong x-api-key', 401, () => ({ 'x-api-key': secret })],
    ['a revoked token', 401, () => ({ authorization: `Bearer ${tokens.revoked}` })],
    ['an expired token', 401, () => ({ authorization: `Bearer ${tokens.expired}` })],
    ['the administrator token with a letter more', 401, () => ({ authorization: `Bearer ${adminTestToken}x` })],
    ['another scheme', 401, () => ({ authorization: `Basic ${btoa(`token:${adminTestToken}`)}` })],
    ['a scheme without a token', 401, () => ({ authorization: 'Bearer' })],
    ['two tokens in one header', 401, () => ({ authorization: `Bearer ${secret} ${adminTestToken}` })],
    ['a header of 9 kB', 400, () => ({ authorization: `Bearer ${'a'.repeat(9_000)}` })],
    ['an SQL-ish token', 401, () => ({ authorization: "Bearer x'OR'1'='1';DROP/**/TABLE/**/tokens--" })],
  ]

  it.each(cases)('refuse %s', async (_what, status, headers) => {
    await Promise.all(
      guarded.map(async ({ method, path, dialect }) => {
        const body = method === 'GET' ? undefined : '{}'
        const type: Record<string, string> = body ? { 'content-type': 'application/json' } : {}
        const reply = await server.send(method, pathOf(path), body, { token: null, headers: { ...type, ...headers() } })
        expectError(reply, dialect, status)
        for (const token of [secret, tokens.revoked, tokens.expired]) expect(reply.text).not.toContain(token)
      }),
    )
    expect((await server.send('GET', '/v1/models')).status).toBe(200)
  })

  it('ask for the token before they look at path, type or body', async () => {
    const reply = await server.send('POST', '/serving-endpoints/%ff/invocations', 'x', {
      token: null,
      headers: { 'content-type': 'text/x' },
    })
    expect([400, 401]).toContain(reply.status)
    const nobody = await server.send('GET', '/api/2.0/serving-endpoints/nobody', undefined, { token: null })
    expectError(nobody, 'native', 401)
  })

  it('take the token of Anthropic clients from x-api-key', async () => {
    const reply = await server.send('GET', '/v1/models', undefined, {
      token: null,
      headers: { 'x-api-key': adminTestToken },
    })
    expect(reply.status).toBe(200)
  })
})

describe('a user without grants', () => {
  let ann: { token: string; id: string }
  beforeAll(async () => {
    ann = await tokenFor('ann')
  })
  const as = (method: string, path: string, body?: unknown): Promise<Reply> =>
    server.send(method, path, body, { token: ann.token })

  it('sees no endpoint in any list', async () => {
    expect((await as('GET', '/api/2.0/serving-endpoints')).json).toEqual({})
    expect((await as('GET', '/v1/models')).json.data).toEqual([])
    expect((await as('GET', '/metrics')).text).not.toContain('words')
  })

  it.each(
    guarded
      .filter(({ path }) => /serving-endpoints\/:(name|id)|v2\/models\/:name|v1\/models\/:name/.test(path))
      .map((route) => [`${route.method} ${route.path}`, route] as const),
  )('gets 403 from %s', async (_title, { method, path, dialect, handle }) => {
    const reply = await as(method, pathOf(path), method === 'GET' ? undefined : {})
    expectError(reply, dialect, handle.name === 'unbuilt' ? 501 : 403, ann.token)
  })

  it('gets 403 where the body names the endpoint', async () => {
    for (const path of ['/v1/embeddings', '/serving-endpoints/embeddings']) {
      expectError(await as('POST', path, { model: 'words', input: 'x' }), 'openai', 403, ann.token)
    }
  })

  it('may neither take over nor delete a model of somebody else', async () => {
    expectError(await as('DELETE', '/api/2.0/glim/models/words'), 'native', 403, ann.token)
    expectError(await as('DELETE', '/api/2.0/glim/models/words/versions/1'), 'native', 403, ann.token)
    expectError(await as('PUT', '/api/2.0/glim/models/words/aliases/best', { version: '1' }), 'native', 403, ann.token)
    const theft = {
      name: 'words',
      manifest: {
        version: 1,
        artifacts: [{ path: 'm.onnx', sizeBytes: 0, digest: `sha256:${'0'.repeat(64)}`, shards: [] }],
      },
    }
    expectError(await as('POST', '/api/2.0/glim/models/import', theft), 'native', 403, ann.token)
    expectError(await as('PUT', '/api/2.0/glim/starters', { names: [] }), 'native', 403, ann.token)
  })

  it('manages the endpoints that it makes itself', async () => {
    expect((await as('POST', '/api/2.0/serving-endpoints', { name: 'anns' })).json).toMatchObject({
      creator: 'ann',
      permission_level: 'CAN_MANAGE',
    })
    expect((await as('DELETE', '/api/2.0/serving-endpoints/anns')).json).toEqual({})
  })
})

describe('grants', () => {
  const what = {
    view: (token: string) => server.send('GET', '/api/2.0/serving-endpoints/words', undefined, { token }),
    query: (token: string) => server.send('POST', '/serving-endpoints/words/invocations', { input: 'cat' }, { token }),
    manage: (token: string) =>
      server.send('PATCH', '/api/2.0/serving-endpoints/words/tags', { add_tags: [] }, { token }),
  }

  it.each([
    ['CAN_VIEW', [200, 403, 403]],
    ['CAN_QUERY', [200, 200, 403]],
    ['CAN_MANAGE', [200, 200, 200]],
  ])(
    '%s gives what it says to a user, a service principal and a group, from the next request on',
    async (permission_level, expected) => {
      const grantees = [
        [{ user_name: 'ulf' }, { user_name: 'ulf' }],
        [{ service_principal_name: 'bot' }, { service_principal_name: 'bot' }],
        [{ group_name: 'ml' }, { user_name: 'gert', groups: ['ml'] }],
      ]
      for (const [grantee, owner] of grantees) {
        const made = await server.send('POST', '/api/2.0/token/create', owner)
        const token = made.json.token_value
        await server.send('PUT', permissions(), { access_control_list: [{ ...grantee, permission_level }] })
        expect((await what.view(token)).json.permission_level).toBe(permission_level)
        expect([
          (await what.view(token)).status,
          (await what.query(token)).status,
          (await what.manage(token)).status,
        ]).toEqual(expected)
        await server.send('PUT', permissions(), {})
        expect((await what.view(token)).status).toBe(403)
      }
    },
  )

  it('of a user do not reach a service principal of the same name', async () => {
    const bot = await server.send('POST', '/api/2.0/token/create', { service_principal_name: 'twin' })
    await server.send('PUT', permissions(), {
      access_control_list: [{ user_name: 'twin', permission_level: 'CAN_MANAGE' }],
    })
    expectError(await what.view(bot.json.token_value), 'native', 403)
  })

  it('to the group users reach everybody', async () => {
    const { token } = await tokenFor('anybody')
    await server.send('PUT', permissions(), {
      access_control_list: [{ group_name: 'users', permission_level: 'CAN_QUERY' }],
    })
    expect((await what.query(token)).status).toBe(200)
    await server.send('PUT', permissions(), {})
  })
})

describe('tokens', () => {
  it('are shown once and never listed, nor their hashes', async () => {
    const { token, id } = await tokenFor('lena', { comment: 'for the list' })
    const listed = await server.send('GET', '/api/2.0/token/list')
    expect(listed.json.token_infos).toContainEqual(
      expect.objectContaining({ token_id: id, comment: 'for the list', created_by_username: 'lena', expiry_time: -1 }),
    )
    const hash = Buffer.from(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))).toString('hex')
    expect(listed.text).not.toContain(token)
    expect(listed.text).not.toContain(hash)
  })

  it('are refused in the very next request after they were revoked', async () => {
    for (let round = 0; round < 10; round++) {
      const { token, id } = await tokenFor('ruth')
      expect((await server.send('GET', '/v1/models', undefined, { token })).status).toBe(200)
      await server.send('POST', '/api/2.0/token/delete', { token_id: id })
      expectError(await server.send('GET', '/v1/models', undefined, { token }), 'openai', 401, token)
    }
  })

  it('of a user are for that user only: nobody else, no other groups, not the tokens of others', async () => {
    const [ugo, other] = [await tokenFor('ugo', { groups: ['ml'] }), await tokenFor('otto')]
    const as = (body: unknown) => server.send('POST', '/api/2.0/token/create', body, { token: ugo.token })
    for (const body of [
      { user_name: 'otto' },
      { service_principal_name: 'bot' },
      { groups: ['admins'] },
      { user_name: 'ugo', groups: ['admins'] },
      { user_name: 'admin' },
    ]) {
      expectError(await as(body), 'native', 403, ugo.token)
    }
    const own = await as({ comment: 'mine' })
    expect(own.json.token_info).toMatchObject({ created_by_username: 'ugo' })
    const me = await server.send('GET', '/api/2.0/preview/scim/v2/Me', undefined, { token: own.json.token_value })
    expect(me.json).toMatchObject({ userName: 'ugo', groups: expect.arrayContaining([{ display: 'ml', value: 'ml' }]) })
    expect(me.text).not.toContain('admins')
    const { token_infos } = (await server.send('GET', '/api/2.0/token/list', undefined, { token: ugo.token })).json
    expect(new Set(token_infos.map((info: { created_by_username: string }) => info.created_by_username))).toEqual(
      new Set(['ugo']),
    )
    expectError(
      await server.send('POST', '/api/2.0/token/delete', { token_id: other.id }, { token: ugo.token }),
      'native',
      403,
      ugo.token,
    )
  })

  it('of CRLF and control characters never leave the client or reach the registry', async () => {
    await expect(server.send('GET', '/v1/models', undefined, { token: 'a\r\nx-admin: 1' })).rejects.toThrow()
    expectError(await server.send('GET', '/v1/models', undefined, { token: 'a\tb' }), 'openai', 401)
  })
})
