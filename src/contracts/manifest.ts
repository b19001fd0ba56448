/**
 * A model version's bytes, named by digest. A manifest lists artifacts; an artifact is a sequence of shards; the shard is
 * the unit of storage, transfer and verification. The manifest itself is stored as a blob under the digest of its
 * canonical JSON, so one digest names everything a version is.
 */
import { z } from 'zod'
import { limits } from './limits.ts'

/** `sha256:<64 hex>`; the only name for bytes. */
export type Digest = `sha256:${string}`

export const digestSchema = z.custom<Digest>(
  (value) => typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value),
  'expected "sha256:" and 64 lower-case hex digits',
)

/**
 * A relative path of plain segments: nothing absolute, no `..`, no backslash, no control character, so that it can never
 * name something outside its own version.
 */
export const artifactPathSchema = z
  .string()
  .min(1)
  .max(limits.artifactPathLength)
  .refine(
    (path) => isPlainPath(path),
    'expected a relative path without "..", "." or empty segments, backslashes or control characters',
  )

export const shardSchema = z.strictObject({
  digest: digestSchema,
  sizeBytes: z.number().int().min(0).max(limits.maxShardBytes),
})

export const artifactSchema = z.strictObject({
  path: artifactPathSchema,
  sizeBytes: z.number().int().nonnegative(),
  /** Digest of the whole file. */
  digest: digestSchema,
  shards: z.array(shardSchema),
})

export const manifestSchema = z
  .strictObject({
    version: z.literal(1),
    artifacts: z.array(artifactSchema).min(1).max(limits.artifactsPerManifest),
  })
  .superRefine((manifest, context) => {
    const seen = new Set<string>()
    let shards = 0
    for (const [index, artifact] of manifest.artifacts.entries()) {
      if (seen.has(artifact.path))
        context.addIssue({
          code: 'custom',
          path: ['artifacts', index, 'path'],
          message: `"${artifact.path}" is listed twice`,
        })
      seen.add(artifact.path)
      shards += artifact.shards.length
      const total = artifact.shards.reduce((sum, shard) => sum + shard.sizeBytes, 0)
      if (total !== artifact.sizeBytes) {
        context.addIssue({
          code: 'custom',
          path: ['artifacts', index, 'sizeBytes'],
          message: `${artifact.sizeBytes} does not equal the ${total} bytes of its shards`,
        })
      }
    }
    if (shards > limits.shardsPerManifest) {
      context.addIssue({
        code: 'custom',
        path: ['artifacts'],
        message: `${shards} shards are more than the ${limits.shardsPerManifest} allowed`,
      })
    }
  })

export type Shard = z.infer<typeof shardSchema>
export type Artifact = z.infer<typeof artifactSchema>
export type Manifest = z.infer<typeof manifestSchema>

function isPlainPath(path: string): boolean {
  return (
    !path.includes('\\') &&
    !hasControlCharacter(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  )
}

function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character.codePointAt(0)! < 32 || character === '\u007f')
}
