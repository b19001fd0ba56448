/**
 * What may come in the bodies of the endpoint routes. Only shapes are decided here: rules that span fields are in
 * `plan-config.ts`, and known fields that glim does not have are refused in `refuse-unbuilt.ts`. Unknown fields are
 * ignored, as clients of other versions send them.
 */
import * as z from 'zod'
import { limits } from '#contracts/limits.ts'

export const workloadSizes = ['Small', 'Medium', 'Large'] as const
export const workloadTypes = [
  'CPU',
  'CPU_MEDIUM',
  'CPU_LARGE',
  'GPU_SMALL',
  'GPU_MEDIUM',
  'GPU_LARGE',
  'GPU_XLARGE',
  'GPU_XLARGE_8',
  'MULTIGPU_MEDIUM',
] as const

const environmentVariables = 30

const endpointName = wordSchema(limits.endpointNameLength)
const servedEntityName = wordSchema(limits.modelNameLength)
const count = z.number().int().min(0)

/** A version is a string on this API; a bare number can only mean the same. */
const entityVersion = z.union([z.string(), z.number().int().transform(String)])

const entityFields = {
  name: servedEntityName.optional(),
  workload_size: z.enum(workloadSizes).optional(),
  workload_type: z.enum(workloadTypes).optional(),
  scale_to_zero_enabled: z.boolean().optional(),
  min_provisioned_concurrency: count.optional(),
  max_provisioned_concurrency: count.optional(),
  min_provisioned_throughput: count.optional(),
  max_provisioned_throughput: count.optional(),
  provisioned_model_units: count.optional(),
  environment_vars: z
    .record(z.string(), z.string())
    .refine((vars) => Object.keys(vars).length <= environmentVariables, {
      error: ({ input }) =>
        `has ${Object.keys(input as object).length} variables; at most ${environmentVariables} are allowed`,
    })
    .optional(),
  external_model: z.unknown().optional(),
  instance_profile_arn: z.string().optional(),
}

const servedEntitySchema = z.object({
  ...entityFields,
  entity_name: z.string().optional(),
  entity_version: entityVersion.optional(),
})

const servedModelSchema = z.object({
  ...entityFields,
  model_name: z.string().optional(),
  model_version: entityVersion.optional(),
})

const routeSchema = z.object({
  served_entity_name: z.string().optional(),
  served_model_name: z.string().optional(),
  traffic_percentage: z.number().int().min(0).max(100),
})

const configSchema = z.object({
  served_entities: z.array(servedEntitySchema).max(limits.servedEntities).optional(),
  served_models: z.array(servedModelSchema).max(limits.servedEntities).optional(),
  traffic_config: z.object({ routes: z.array(routeSchema).optional() }).optional(),
  auto_capture_config: z
    .object({
      catalog_name: z.string().optional(),
      schema_name: z.string().optional(),
      table_name_prefix: z.string().optional(),
      enabled: z.boolean().optional(),
    })
    .optional(),
})

const tagSchema = z.object({
  key: z.string().min(1).max(limits.tagKeyLength),
  value: z.string().max(limits.tagValueLength).optional(),
})

const tagListSchema = z.array(tagSchema).superRefine((tags, context) => {
  for (const [index, { key }] of tags.entries()) {
    if (tags.findIndex((tag) => tag.key === key) < index) {
      context.addIssue({ code: 'custom', path: [index, 'key'], message: `${JSON.stringify(key)} is given twice` })
    }
  }
})

const emailNotificationsSchema = z.object({
  on_update_success: z.array(z.string()).optional(),
  on_update_failure: z.array(z.string()).optional(),
})

/** `POST /api/2.0/serving-endpoints` */
export const createEndpointSchema = body({
  name: endpointName,
  config: configSchema.optional(),
  description: z.string().max(limits.descriptionLength).optional(),
  tags: tagListSchema.max(limits.tagsPerEndpoint).optional(),
  route_optimized: z.boolean().optional(),
  budget_policy_id: z.string().optional(),
  email_notifications: emailNotificationsSchema.optional(),
  ai_gateway: z.unknown().optional(),
  rate_limits: z.unknown().optional(),
  telemetry_config: z.unknown().optional(),
  uc_system_metrics_export_state: z.unknown().optional(),
})

/** `PUT …/{name}/config` */
export const updateConfigSchema = body(configSchema.shape)

/** `PATCH …/{name}/tags` */
export const updateTagsSchema = body({
  add_tags: tagListSchema.optional(),
  delete_tags: z.array(z.string()).optional(),
})

/** `PATCH …/{name}/notifications` */
export const updateNotificationsSchema = body({ email_notifications: emailNotificationsSchema.optional() })

export type CreateEndpointBody = z.output<typeof createEndpointSchema>
export type ConfigBody = z.output<typeof updateConfigSchema>
export type UpdateTagsBody = z.output<typeof updateTagsSchema>
export type EntityBody = z.output<typeof servedEntitySchema>
export type TagBody = z.output<typeof tagSchema>
export type EmailNotifications = z.output<typeof emailNotificationsSchema>

/** A name that goes into paths and headers as it is. */
function wordSchema(maxLength: number) {
  const pattern = new RegExp(`^[A-Za-z0-9_-]{1,${maxLength}}$`)
  return z.string().refine((text) => pattern.test(text), `expected 1 to ${maxLength} letters, digits, "-" or "_"`)
}

/** A body in which a null member is an absent one: several clients send every field they know. */
function body<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.preprocess(withoutNulls, z.object(shape))
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([, member]) => member !== null)
  return Object.fromEntries(members.map(([key, member]) => [key, withoutNulls(member)]))
}
