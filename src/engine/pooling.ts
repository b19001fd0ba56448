/** From a vector per token to one vector per text. */
import { badRequest, invalidParameter } from '#contracts/errors.ts'
import type { ArtifactReader } from '#contracts/served-model.ts'
import { choiceParam, type Params } from './params.ts'
import { readJson } from './read-artifact.ts'

export const poolings = ['mean', 'cls', 'last', 'max'] as const
export type Pooling = (typeof poolings)[number]

const poolingFile = '1_Pooling/config.json'
/** Keys of sentence-transformers' pooling configuration. */
const poolingKeys: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_cls_token: 'cls',
  pooling_mode_lasttoken: 'last',
  pooling_mode_max_tokens: 'max',
}

/** The pooling that was fixed at import, else what the model's files say, else the mean. */
export async function readPooling(reader: ArtifactReader, options: Params): Promise<Pooling> {
  const chosen = choiceParam(options, 'pooling', poolings)
  if (chosen) return chosen
  const config = await readJson(reader, poolingFile)
  if (!config) return 'mean'
  const modes = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true)
  if (modes.length === 0) return 'mean'
  const pooling = poolingKeys[modes[0]!]
  if (!pooling || modes.length > 1)
    throw badRequest(`The model's file "${poolingFile}" asks for ${modes.join(', ')}, which glim cannot pool.`)
  return pooling
}

/** Pools a row of `[tokens, dimensions]` over the real tokens from `first` up to `end`, into memory of its own. */
export function pool(
  values: Float32Array,
  dimensions: number,
  [first, end]: readonly [number, number],
  pooling: Pooling,
): Float32Array {
  if (pooling === 'cls') return values.slice(first * dimensions, (first + 1) * dimensions)
  if (pooling === 'last') return values.slice((end - 1) * dimensions, end * dimensions)
  const pooled = new Float64Array(dimensions)
  if (pooling === 'max') pooled.fill(Number.NEGATIVE_INFINITY)
  for (let at = first * dimensions; at < end * dimensions; at += dimensions) {
    for (let index = 0; index < dimensions; index++) {
      const value = values[at + index]!
      pooled[index] = pooling === 'max' ? Math.max(pooled[index]!, value) : pooled[index]! + value
    }
  }
  const count = pooling === 'max' ? 1 : end - first
  for (let index = 0; index < dimensions; index++) pooled[index]! /= count
  return Float32Array.from(pooled)
}

/** The first `dimensions` of a vector, brought to length 1 where asked for. */
export function cut(vector: Float32Array, dimensions: number, normalize: boolean): Float32Array {
  if (dimensions > vector.length) {
    throw invalidParameter('dimensions', `${dimensions} is more than the ${vector.length} that the model gives`)
  }
  const head = vector.subarray(0, dimensions)
  if (!normalize) return head
  let squares = 0
  for (const value of head) squares += value * value
  const length = Math.sqrt(squares)
  return length === 0 ? head : head.map((value) => value / length)
}
