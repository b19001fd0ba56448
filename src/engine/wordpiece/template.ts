/** The special tokens around a text or a pair, as a `post_processor` says. */
import { isObject } from '../read-artifact.ts'

/** A special token, or one of the two texts. */
export type TemplatePart = { typeId: number } & ({ special: string } | { sequence: 'A' | 'B' })

export interface Templates {
  single: readonly TemplatePart[]
  pair: readonly TemplatePart[]
}

/** Undefined for anything that is the library's business. */
export function templatesOf(config: unknown): Templates | undefined {
  if (config === null) return { single: [text('A', 0)], pair: [text('A', 0), text('B', 0)] }
  if (!isObject(config)) return undefined
  switch (config.type) {
    case 'TemplateProcessing': {
      const [single, pair] = [partsOf(config.single), partsOf(config.pair)]
      return single && pair && sequencesOf(single) === 'A' && /^(AB|BA)$/.test(sequencesOf(pair))
        ? { single, pair }
        : undefined
    }
    case 'BertProcessing': {
      const [start, end] = [config.cls, config.sep].map((named) => (Array.isArray(named) ? named[0] : undefined))
      if (typeof start !== 'string' || typeof end !== 'string') return undefined
      const single = [{ special: start, typeId: 0 }, text('A', 0), { special: end, typeId: 0 }]
      return { single, pair: [...single, text('B', 1), { special: end, typeId: 1 }] }
    }
    default:
      return undefined
  }
}

function text(sequence: 'A' | 'B', typeId: number): TemplatePart {
  return { sequence, typeId }
}

function sequencesOf(parts: readonly TemplatePart[]): string {
  return parts.map((part) => ('sequence' in part ? part.sequence : '')).join('')
}

function partsOf(items: unknown): TemplatePart[] | undefined {
  if (!Array.isArray(items)) return undefined
  const parts: TemplatePart[] = []
  for (const item of items) {
    if (!isObject(item)) return undefined
    const isSpecial = 'SpecialToken' in item
    const named = isSpecial ? item.SpecialToken : item.Sequence
    if (!isObject(named) || typeof named.id !== 'string' || !Number.isInteger(named.type_id)) return undefined
    const typeId = Number(named.type_id)
    if (isSpecial) parts.push({ special: named.id, typeId })
    else if (named.id === 'A' || named.id === 'B') parts.push(text(named.id, typeId))
    else return undefined
  }
  return parts
}
