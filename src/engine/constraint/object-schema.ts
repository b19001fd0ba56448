/** Objects: properties in the schema's order, optional ones left out or not, then others where the schema asks for them. */
import { invalidParameter } from '#contracts/errors.ts'
import { type Expression, sequence, text } from './expression.ts'
import type { Body } from './grammar.ts'
import type { SchemaContext } from './schema-context.ts'
import { pathOf, type SchemaObject, schemaMap, shownValue, stringList } from './schema-keywords.ts'

const longestName = 512

interface Member {
  content: Expression
  isRequired: boolean
}

export function objectBody(schemas: SchemaContext, keywords: SchemaObject, path: string): Body {
  return (nfa, start, end) => {
    const members = listedMembers(schemas, keywords, path)
    const others = otherMember(schemas, keywords, path)
    // Two chains of places, before and after the first member; a member's content is shared, and leads into the second.
    let before = nfa.state()
    let after = nfa.state()
    nfa.add(text('{'), start, before)
    for (const { content, isRequired } of members) {
      const [nextBefore, nextAfter, member] = [nfa.state(), nfa.state(), nfa.state()]
      nfa.skip(before, member)
      nfa.add(text(schemas.rules.spacing.comma), after, member)
      nfa.add(content, member, nextAfter)
      if (!isRequired) {
        nfa.skip(before, nextBefore)
        nfa.skip(after, nextAfter)
      }
      before = nextBefore
      after = nextAfter
    }
    if (others) {
      const member = nfa.state()
      nfa.skip(before, member)
      nfa.add(text(schemas.rules.spacing.comma), after, member)
      nfa.add(others, member, after)
    }
    nfa.add(text('}'), before, end)
    nfa.add(text('}'), after, end)
  }
}

function listedMembers(schemas: SchemaContext, keywords: SchemaObject, path: string): Member[] {
  const properties = schemaMap(keywords, 'properties', path)
  const required = new Set(stringList(keywords, 'required', path))
  const { additionalProperties: additional = true } = keywords
  const names = [...Object.keys(properties), ...[...required].filter((name) => !Object.hasOwn(properties, name))]
  return names.flatMap((name) => {
    const at = pathOf(pathOf(path, 'properties'), name)
    if (name.length > longestName || !name.isWellFormed())
      throw invalidParameter(
        at,
        `a name may have at most ${longestName} characters, none of them half of a surrogate pair.`,
      )
    const isRequired = required.has(name)
    const isListed = Object.hasOwn(properties, name)
    const value = isListed ? properties[name] : additional
    if (value === false && !isRequired) return []
    if (value === false && !isListed)
      throw invalidParameter(
        pathOf(path, 'required'),
        `names ${shownValue(name)}, which properties does not list and additionalProperties excludes.`,
      )
    const valuePath = isListed ? at : pathOf(path, 'additionalProperties')
    const key = text(`${JSON.stringify(name)}${schemas.rules.spacing.colon}`)
    return [{ content: sequence(key, schemas.expression(value, valuePath)), isRequired }]
  })
}

/** A member that the schema does not list. Without any word about such, only objects that list nothing have them. */
function otherMember(schemas: SchemaContext, keywords: SchemaObject, path: string): Expression | null {
  const listed = schemaMap(keywords, 'properties', path)
  const required = stringList(keywords, 'required', path)
  const names = [...new Set([...Object.keys(listed), ...required])]
  const { additionalProperties: additional = names.length === 0 } = keywords
  if (additional === false) return null
  const key = names.length === 0 ? schemas.rules.string : schemas.rules.otherString(names)
  const value = schemas.expression(additional, pathOf(path, 'additionalProperties'))
  return sequence(key, text(schemas.rules.spacing.colon), value)
}
