/** The body of `PUT` and `PATCH /api/2.0/permissions/serving-endpoints/{id}`, parsed to grants. */
import * as z from 'zod'
import { limits } from '#contracts/limits.ts'
import { type Grant, type GranteeKind, permissionLevels } from '#contracts/registry.ts'

const granteeKinds = ['user_name', 'group_name', 'service_principal_name'] as const satisfies readonly GranteeKind[]
const grantee = z.string().min(1).max(limits.tagKeyLength).nullish()

const accessControlSchema = z
  .object({
    user_name: grantee,
    group_name: grantee,
    service_principal_name: grantee,
    permission_level: z.enum(permissionLevels),
  })
  .transform((entry, context): Grant => {
    const [kind, ...others] = granteeKinds.filter((each) => typeof entry[each] === 'string')
    if (kind && others.length === 0) return { kind, name: entry[kind]!, level: entry.permission_level }
    context.addIssue({ code: 'custom', message: `expected exactly one of ${granteeKinds.join(', ')}` })
    return z.NEVER
  })

/** No list is an empty one: a PUT without it takes all direct grants away. */
export const permissionsSchema = z
  .object({ access_control_list: z.array(accessControlSchema).nullish() })
  .transform(({ access_control_list: grants }): readonly Grant[] => grants ?? [])
