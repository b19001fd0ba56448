/**
 * What an entity takes and gives. A `tensor` entity has one field per graph input; other tasks have columns
 * (`text`, `text_pair`, `image`). A dimension is a size, or a name (or `?`) where any size fits.
 */
import * as z from 'zod'
import { type Dtype, dtypes } from './tensor.ts'

export const fieldSchema = z.object({
  name: z.string().min(1),
  dtype: z.enum([...(Object.keys(dtypes) as [Dtype, ...Dtype[]]), 'binary']),
  shape: z.array(z.union([z.number().int().nonnegative(), z.string()])),
  /** Absent means required. */
  optional: z.boolean().optional(),
})

/** A named value beside the rows, such as `dimensions` or `top_k`. */
export const paramSchema = z.object({
  name: z.string().min(1),
  type: z.enum(['integer', 'number', 'boolean', 'string']),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  values: z.array(z.string()).optional(),
  description: z.string(),
})

export const signatureSchema = z.object({
  inputs: z.array(fieldSchema),
  outputs: z.array(fieldSchema),
  params: z.array(paramSchema),
})

export type Field = z.infer<typeof fieldSchema>
export type Param = z.infer<typeof paramSchema>
export type Signature = z.infer<typeof signatureSchema>
