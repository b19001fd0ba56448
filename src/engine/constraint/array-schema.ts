/** Arrays: a leading tuple, then items of one schema, within bounds on their number. */
import { invalidParameter } from '#contracts/errors.ts'
import { call, type Expression, either, impossible, nothing, optional, repeat, sequence, text } from './expression.ts'
import type { SchemaContext } from './schema-context.ts'
import { countKeyword, pathOf, type SchemaObject, schemaList } from './schema-keywords.ts'

/** Each place of a tuple nests the places after it. */
const longestTuple = 256

export function arrayExpression(schemas: SchemaContext, keywords: SchemaObject, path: string): Expression {
  const prefix = 'prefixItems' in keywords ? schemaList(keywords, 'prefixItems', path) : []
  if (prefix.length > longestTuple)
    throw invalidParameter(
      pathOf(path, 'prefixItems'),
      `may have at most ${longestTuple} schemas; ${prefix.length} came.`,
    )
  const least = countKeyword(keywords, 'minItems', path) ?? 0
  const most = countKeyword(keywords, 'maxItems', path)
  if (Array.isArray(keywords.items))
    throw invalidParameter(pathOf(path, 'items'), 'a list of schemas is not supported; use prefixItems.')
  // After a tuple without a word about more, more come only if the least number of items asks for them.
  const { items = prefix.length === 0 || least > prefix.length } = keywords
  const bound = items === false ? Math.min(most ?? prefix.length, prefix.length) : most
  if (bound !== null && bound < least)
    throw invalidParameter(pathOf(path, 'minItems'), `is ${least}, but at most ${bound} items are possible.`)
  const tuple = prefix.map((schema, index) => call(schemas.rule(schema, pathOf(pathOf(path, 'prefixItems'), index))))
  const item = items === false ? impossible : call(schemas.rule(items, pathOf(path, 'items')))
  return sequence(text('['), itemList(tuple, item, least, bound, schemas.rules.spacing.comma), text(']'))
}

function itemList(
  tuple: readonly Expression[],
  item: Expression,
  least: number,
  most: number | null,
  comma: string,
): Expression {
  if (most === 0) return nothing
  const separated = (value: Expression, index: number) => (index === 0 ? value : sequence(text(comma), value))
  // From the end: what may follow a number of items, and whether it has to.
  const listed = tuple.slice(0, most ?? undefined)
  const behind = listed.length
  let rest = moreItems(item, behind, least, most, comma)
  for (let index = behind - 1; index >= 0; index--) {
    const one = sequence(separated(listed[index]!, index), rest)
    rest = index < least ? one : optional(one)
  }
  return rest
}

/** Items after `count` others. */
function moreItems(item: Expression, count: number, least: number, most: number | null, comma: string): Expression {
  const following = sequence(text(comma), item)
  if (count > 0) return repeat(following, Math.max(0, least - count), most === null ? null : Math.max(0, most - count))
  const some = sequence(item, repeat(following, Math.max(0, least - 1), most === null ? null : most - 1))
  return least > 0 ? some : either([nothing, some])
}
