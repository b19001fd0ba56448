/** What a model version can do, measured in its isolate at import. */
import * as z from 'zod'

export const capabilitiesSchema = z.object({
  /** Tokens of one row at most, special ones included; longer texts are cut. Null for tasks without tokens. */
  maxTokens: z.number().int().positive().nullable(),
  /** Rows that share one run at most. */
  maxBatch: z.number().int().positive(),
  /** Whether a row's numbers were the same bits alone and among rows of the same length, in all lengths and sizes that were tried. */
  batchInvariant: z.boolean(),
  /** Where it runs. */
  devices: z.array(z.enum(['wasm', 'webgpu'])),
  /** WebAssembly heap after the largest runs that were tried; it never shrinks. */
  memoryBytes: z.number().int().nonnegative(),
})

export type Capabilities = z.infer<typeof capabilitiesSchema>
