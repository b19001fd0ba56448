import { describe, expect, it } from 'vitest'
import { parseBody } from '#contracts/parse.ts'
import type { Grant, Principal } from '#contracts/registry.ts'
import { permissionsSchema } from '#src/registry/permission-schema.ts'
import { permissionLevelsView, permissionOf, permissionsView, permits } from '#src/registry/permission-view.ts'
import { ada, admin, grace, openWithModels, refusal } from './open-registry.ts'

const robot: Principal = { name: 'robot', kind: 'service_principal', groups: [] }

function withGrants(...grants: Grant[]) {
  const { create, registry } = openWithModels()
  return registry.setGrants(create({ name: 'a' }).id, grants)
}

describe('permissionOf', () => {
  it('lets creator and admins manage, and nobody else do anything', () => {
    const endpoint = withGrants()
    expect(permissionOf(endpoint, ada)).toBe('CAN_MANAGE')
    expect(permissionOf(endpoint, admin)).toBe('CAN_MANAGE')
    expect(permissionOf(endpoint, grace)).toBeNull()
    expect(permissionOf(endpoint, { ...ada, kind: 'service_principal' })).toBeNull()
  })

  it.each<[Grant, Principal, string | null]>([
    [{ kind: 'user_name', name: grace.name, level: 'CAN_VIEW' }, grace, 'CAN_VIEW'],
    [{ kind: 'service_principal_name', name: grace.name, level: 'CAN_VIEW' }, grace, null],
    [{ kind: 'group_name', name: 'team-a', level: 'CAN_QUERY' }, grace, 'CAN_QUERY'],
    [{ kind: 'group_name', name: 'team-b', level: 'CAN_QUERY' }, grace, null],
    [{ kind: 'group_name', name: 'users', level: 'CAN_QUERY' }, robot, 'CAN_QUERY'],
    [{ kind: 'service_principal_name', name: 'robot', level: 'CAN_MANAGE' }, robot, 'CAN_MANAGE'],
    [{ kind: 'user_name', name: 'robot', level: 'CAN_MANAGE' }, robot, null],
  ])('grant %j gives %j %s', (grant, principal, level) => {
    expect(permissionOf(withGrants(grant), principal)).toBe(level)
  })

  it('takes the highest of several', () => {
    const endpoint = withGrants(
      { kind: 'user_name', name: grace.name, level: 'CAN_VIEW' },
      { kind: 'group_name', name: 'team-a', level: 'CAN_QUERY' },
      { kind: 'group_name', name: 'users', level: 'CAN_VIEW' },
    )
    expect(permissionOf(endpoint, grace)).toBe('CAN_QUERY')
  })

  it('orders view, query, manage', () => {
    expect(permits('CAN_QUERY', 'CAN_VIEW')).toBe(true)
    expect(permits('CAN_QUERY', 'CAN_QUERY')).toBe(true)
    expect(permits('CAN_QUERY', 'CAN_MANAGE')).toBe(false)
    expect(permits(null, 'CAN_VIEW')).toBe(false)
  })
})

describe('grants', () => {
  const view: Grant = { kind: 'user_name', name: 'x', level: 'CAN_VIEW' }

  it('are replaced by a set and added to by a merge', () => {
    const { create, registry } = openWithModels()
    const { id } = create({ name: 'a' })
    const query: Grant = { kind: 'group_name', name: 'g', level: 'CAN_QUERY' }
    registry.setGrants(id, [view])
    expect(registry.mergeGrants(id, [query]).grants).toEqual([query, view])
    expect(registry.mergeGrants(id, [{ ...view, level: 'CAN_MANAGE' }]).grants).toEqual([
      query,
      { ...view, level: 'CAN_MANAGE' },
    ])
    expect(registry.setGrants(id, [view]).grants).toEqual([view])
    expect(registry.setGrants(id, []).grants).toEqual([])
  })

  it('of an endpoint that is not there are refused', () => {
    const { registry } = openWithModels()
    const message = `Serving endpoint with id ${'f'.repeat(32)} not found`
    expect(refusal(() => registry.setGrants('f'.repeat(32), [view]))).toMatchObject({ status: 404, message })
    expect(refusal(() => registry.mergeGrants('f'.repeat(32), [view]))).toMatchObject({ status: 404, message })
  })
})

describe('the permissions API', () => {
  it('shows the creator, direct grants, and what admins inherit', () => {
    const endpoint = withGrants({ kind: 'group_name', name: 'team-a', level: 'CAN_QUERY' })
    expect(permissionsView(endpoint)).toEqual({
      object_id: `/serving-endpoints/${endpoint.id}`,
      object_type: 'serving-endpoint',
      access_control_list: [
        {
          user_name: ada.name,
          display_name: ada.name,
          all_permissions: [{ permission_level: 'CAN_MANAGE', inherited: false }],
        },
        {
          group_name: 'team-a',
          display_name: 'team-a',
          all_permissions: [{ permission_level: 'CAN_QUERY', inherited: false }],
        },
        {
          group_name: 'admins',
          display_name: 'admins',
          all_permissions: [
            { permission_level: 'CAN_MANAGE', inherited: true, inherited_from_object: ['/serving-endpoints/'] },
          ],
        },
      ],
    })
  })

  it('shows one entry per grantee', () => {
    const { access_control_list: entries } = permissionsView(
      withGrants(
        { kind: 'user_name', name: ada.name, level: 'CAN_VIEW' },
        { kind: 'group_name', name: 'admins', level: 'CAN_QUERY' },
      ),
    )
    expect(entries).toHaveLength(2)
    expect(entries[0]?.all_permissions).toEqual([{ permission_level: 'CAN_MANAGE', inherited: false }])
    expect(entries[1]?.all_permissions.map((each) => each.inherited)).toEqual([false, true])
  })

  it('lists the levels from the least', () => {
    expect(permissionLevelsView.permission_levels.map((each) => each.permission_level)).toEqual([
      'CAN_VIEW',
      'CAN_QUERY',
      'CAN_MANAGE',
    ])
  })

  it('reads a list of grants, and no list as none', () => {
    const list = [
      { user_name: 'x', permission_level: 'CAN_VIEW' },
      { group_name: 'g', user_name: null, permission_level: 'CAN_QUERY' },
    ]
    expect(parseBody(permissionsSchema, { access_control_list: list })).toEqual([
      { kind: 'user_name', name: 'x', level: 'CAN_VIEW' },
      { kind: 'group_name', name: 'g', level: 'CAN_QUERY' },
    ])
    expect(parseBody(permissionsSchema, {})).toEqual([])
  })

  it.each([
    [
      { permission_level: 'CAN_VIEW' },
      'access_control_list[0]: expected exactly one of user_name, group_name, service_principal_name, an object came',
    ],
    [
      { user_name: 'x', group_name: 'y', permission_level: 'CAN_VIEW' },
      'access_control_list[0]: expected exactly one of user_name, group_name, service_principal_name, an object came',
    ],
    [
      { user_name: 'x', permission_level: 'CAN_RUN' },
      'access_control_list[0].permission_level: expected "CAN_VIEW", "CAN_QUERY" or "CAN_MANAGE", "CAN_RUN" came',
    ],
  ])('refuses %j', (entry, message) => {
    expect(refusal(() => parseBody(permissionsSchema, { access_control_list: [entry] })).message).toBe(message)
  })
})
