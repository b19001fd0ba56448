/**
 * A model version's bytes, named by digest. A manifest lists artifacts; an artifact is a sequence of shards; the shard is
 * the unit of storage, transfer and verification. The manifest itself is stored as a blob under the digest of its
 * canonical JSON, so one digest names everything a version is.
 */
import * as z from 'zod'
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

/**
 * Where bytes come from that are fetched on first use: a file of the hub that the server is configured with, never a free URL,
 * so that no manifest can make a server call an address of its author's choice.
 */
export const originSchema = z.strictObject({
  /** `OWNER/NAME` on the hub. */
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
  /** The commit, 40 hex digits: a branch moves, a commit does not. */
  revision: z.string().regex(/^[0-9a-f]{40}$/),
  path: artifactPathSchema,
})

export const artifactSchema = z.strictObject({
  path: artifactPathSchema,
  sizeBytes: z.number().int().nonnegative(),
  /** Weight precision, where the source says it. */
  dtype: z.string().max(16).optional(),
  /** Digest of the whole file; absent where its origin publishes none: then the first read pins what it saw. */
  digest: digestSchema.optional(),
  /** Absent until the first read of an artifact that has an origin; the cache records them then. */
  shards: z.array(shardSchema).optional(),
  origin: originSchema.optional(),
})

export const manifestSchema = z
  .strictObject({
    version: z.literal(1),
    artifacts: z.array(artifactSchema).min(1).max(limits.artifactsPerManifest),
    /** Room for who vouches for the bytes; nothing checks it yet. */
    signature: z.string().max(4_096).optional(),
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
      if (!artifact.shards) {
        if (!artifact.origin)
          context.addIssue({
            code: 'custom',
            path: ['artifacts', index, 'shards'],
            message: `"${artifact.path}" has neither shards nor an origin`,
          })
        continue
      }
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

export type Origin = z.infer<typeof originSchema>
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
