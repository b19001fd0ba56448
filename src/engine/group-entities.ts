/**
 * From labelled tokens to entities, in the steps of Hugging Face's token-classification pipeline: tokens become words (`first`,
 * `average`, `max`), and neighbours with the same tag become one entity unless the second one begins another (`B-`).
 */
import type { aggregationStrategies } from '#contracts/task-signatures.ts'
import { labelOf } from './model-config.ts'

export type AggregationStrategy = (typeof aggregationStrategies)[number]

export interface LabelledToken {
  /** As the vocabulary writes it. */
  word: string
  scores: Float32Array
  start: number
  end: number
  /** Place among the row's tokens, special ones included. */
  index: number
  /** It continues the word of the token before it. */
  isSubword: boolean
}

export interface Entity {
  entity?: string
  entity_group?: string
  score: number
  index?: number
  word: string
  start: number
  end: number
}

interface Tagged {
  entity: string
  score: number
  word: string
  start: number
  end: number
  index?: number
}

export interface GroupOptions {
  strategy: AggregationStrategy
  labels: readonly string[]
  textOf(tokens: readonly string[]): string
}

export function groupEntities(tokens: readonly LabelledToken[], { strategy, labels, textOf }: GroupOptions): Entity[] {
  if (strategy === 'none') return tokens.map((token) => tagged(token, labels))
  const words =
    strategy === 'simple' ? tokens.map((token) => tagged(token, labels)) : wordsOf(tokens, strategy, labels, textOf)
  return runsOf(words, continues).map((run) => ({
    entity_group: tagOf(run[0]!.entity).tag,
    score: mean(run.map(({ score }) => score)),
    word: textOf(run.map(({ word }) => word)),
    start: run[0]!.start,
    end: run.at(-1)!.end,
  }))
}

function tagged({ word, scores, start, end, index }: LabelledToken, labels: readonly string[]): Tagged {
  const best = bestOf(scores)
  return { entity: labelOf(labels, best), score: scores[best]!, index, word, start, end }
}

function wordsOf(
  tokens: readonly LabelledToken[],
  strategy: 'first' | 'average' | 'max',
  labels: readonly string[],
  textOf: (tokens: readonly string[]) => string,
): Tagged[] {
  return runsOf(tokens, (_, token) => token.isSubword).map((word) => {
    const scores = wordScores(word, strategy)
    const best = bestOf(scores)
    return {
      entity: labelOf(labels, best),
      score: scores[best]!,
      word: textOf(word.map((token) => token.word)),
      start: word[0]!.start,
      end: word.at(-1)!.end,
    }
  })
}

function wordScores(word: readonly LabelledToken[], strategy: 'first' | 'average' | 'max'): Float32Array {
  const all = word.map(({ scores }) => scores)
  if (strategy === 'first') return all[0]!
  if (strategy === 'max') {
    const heights = all.map((scores) => scores[bestOf(scores)]!)
    return all[heights.indexOf(Math.max(...heights))]!
  }
  return Float32Array.from(all[0]!, (_, label) => mean(all.map((scores) => scores[label]!)))
}

function continues(before: Tagged, next: Tagged): boolean {
  const { begins, tag } = tagOf(next.entity)
  return tag === tagOf(before.entity).tag && !begins
}

function tagOf(label: string): { begins: boolean; tag: string } {
  const [, prefix, tag] = /^([BI])-(.*)$/s.exec(label) ?? []
  return tag === undefined ? { begins: false, tag: label } : { begins: prefix === 'B', tag }
}

function runsOf<T>(items: readonly T[], belongs: (before: T, next: T) => boolean): T[][] {
  const runs: T[][] = []
  for (const item of items) {
    const run = runs.at(-1)
    if (run && belongs(run.at(-1)!, item)) run.push(item)
    else runs.push([item])
  }
  return runs
}

function bestOf(scores: Float32Array): number {
  return scores.reduce((best, score, index) => (score > scores[best]! ? index : best), 0)
}

function mean(values: readonly number[]): number {
  return Math.fround(values.reduce((sum, value) => sum + value, 0) / values.length)
}
