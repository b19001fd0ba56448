/** Who may do what with an endpoint: the decision, and the shapes in which the permissions API shows its grounds. */
import {
  adminGroup,
  type Endpoint,
  everyoneGroup,
  type Grant,
  type GranteeKind,
  isAdmin,
  type PermissionLevel,
  type Principal,
  permissionLevels,
} from '#contracts/registry.ts'

/** The highest level that anything gives the principal; null: the endpoint is none of its business. */
export function permissionOf(endpoint: Endpoint, principal: Principal): PermissionLevel | null {
  if (isAdmin(principal) || isCreator(endpoint, principal)) return 'CAN_MANAGE'
  const ranks = endpoint.grants
    .filter((grant) => reaches(grant, principal))
    .map(({ level }) => permissionLevels.indexOf(level))
  return permissionLevels[Math.max(-1, ...ranks)] ?? null
}

/** Whether holding `held` is enough where `needed` is asked for. */
export function permits(held: PermissionLevel | null, needed: PermissionLevel): boolean {
  return held !== null && permissionLevels.indexOf(held) >= permissionLevels.indexOf(needed)
}

/** `GET /api/2.0/permissions/serving-endpoints/{id}` */
export function permissionsView(endpoint: Endpoint) {
  const creator: Grant = { kind: creatorGrantee(endpoint), name: endpoint.creator, level: 'CAN_MANAGE' }
  const direct = [creator, ...endpoint.grants.filter((grant) => !isSameGrantee(grant, creator))]
  const entries = direct.map((grant) => entryOf(grant, [{ permission_level: grant.level, inherited: false }]))
  const ofAdmins = entries.find((entry) => entry.group_name === adminGroup)
  const inherited = {
    permission_level: 'CAN_MANAGE',
    inherited: true,
    inherited_from_object: ['/serving-endpoints/'],
  } as const
  if (ofAdmins) ofAdmins.all_permissions.push(inherited)
  else entries.push(entryOf({ kind: 'group_name', name: adminGroup }, [inherited]))
  return {
    object_id: `/serving-endpoints/${endpoint.id}`,
    object_type: 'serving-endpoint',
    access_control_list: entries,
  }
}

/** `GET …/permissionLevels` */
export const permissionLevelsView = {
  permission_levels: [
    { permission_level: 'CAN_VIEW', description: 'Can see the endpoint, its OpenAPI document and its metrics' },
    { permission_level: 'CAN_QUERY', description: 'Can see and query the endpoint' },
    {
      permission_level: 'CAN_MANAGE',
      description: 'Can see, query, change and delete the endpoint and grant permissions on it',
    },
  ] satisfies { permission_level: PermissionLevel; description: string }[],
} as const

interface PermissionEntry {
  permission_level: PermissionLevel
  inherited: boolean
  inherited_from_object?: readonly string[]
}

type AccessControlEntry = Partial<Record<GranteeKind, string>> & {
  display_name: string
  all_permissions: PermissionEntry[]
}

function entryOf({ kind, name }: Pick<Grant, 'kind' | 'name'>, permissions: PermissionEntry[]): AccessControlEntry {
  return { [kind]: name, display_name: name, all_permissions: permissions }
}

function isCreator(endpoint: Endpoint, principal: Principal): boolean {
  return endpoint.creator === principal.name && endpoint.creatorKind === principal.kind
}

function creatorGrantee(endpoint: Endpoint): GranteeKind {
  return endpoint.creatorKind === 'user' ? 'user_name' : 'service_principal_name'
}

function isSameGrantee(left: Grant, right: Grant): boolean {
  return left.kind === right.kind && left.name === right.name
}

/** Everybody is in the group `users` without being listed in it. */
function reaches(grant: Grant, principal: Principal): boolean {
  switch (grant.kind) {
    case 'group_name':
      return grant.name === everyoneGroup || principal.groups.includes(grant.name)
    case 'user_name':
      return principal.kind === 'user' && principal.name === grant.name
    case 'service_principal_name':
      return principal.kind === 'service_principal' && principal.name === grant.name
  }
}
