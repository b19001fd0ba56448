import type { Random } from './random.ts'

type Schema = Record<string, unknown>

const names = ['name', 'a', 'ab', 'b', 'größe', '日本', 'x "y"', 'line\nbreak', 'arguments', '', '__proto__', 'tags']
const patterns = ['^[a-c]{2,4}$', 'b+', '^(?:ab|cd)*e?$', '^\\d{3}-\\w+', '[^a-z"]$', 'é|日', '^.{2}$', '^a?$|^\\\\n$']
const formats = ['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid']

/** Schemas of all supported kinds, three levels deep, some of them recursive. */
export function randomSchema(random: Random): Schema {
  const schema = object(random, 0)
  if (!random.chance(0.3)) return schema
  const node = { type: 'object', properties: { value: scalar(random), next: { anyOf: [{ type: 'null' }, reference] } } }
  return {
    ...schema,
    properties: { ...(schema.properties as Schema), tree: reference, list: { type: 'array', items: reference } },
    $defs: { node: { ...node, required: random.chance(0.5) ? ['value', 'next'] : [], additionalProperties: false } },
  }
}

const reference = { $ref: '#/$defs/node' }

function any(random: Random, depth: number): unknown {
  if (depth > 2 || random.chance(0.5)) return scalar(random)
  const kinds = [object, array, anyOf, allOf, oneOf]
  if (random.chance(0.08)) return random.pick([true, {}])
  return random.pick(kinds)(random, depth)
}

function object(random: Random, depth: number): Schema {
  const own = names.filter(() => random.chance(0.2))
  const properties = Object.fromEntries(own.map((name) => [name, any(random, depth + 1)]))
  const required = own.filter(() => random.chance(0.6))
  const others = random.pick([undefined, undefined, false, false, true, scalar(random)])
  return { type: 'object', properties, required, ...(others === undefined ? {} : { additionalProperties: others }) }
}

function array(random: Random, depth: number): Schema {
  const least = random.below(3)
  const bounds = random.pick([
    {},
    { minItems: least },
    { maxItems: least + 2 },
    { minItems: least, maxItems: least + 2 },
  ])
  if (random.chance(0.3)) {
    const prefixItems = [any(random, depth + 1), any(random, depth + 1)]
    return {
      type: 'array',
      prefixItems,
      ...random.pick([{}, { items: false }, { items: scalar(random), minItems: 3 }]),
    }
  }
  return { type: 'array', items: any(random, depth + 1), ...bounds }
}

function anyOf(random: Random, depth: number): Schema {
  return { anyOf: [any(random, depth + 1), any(random, depth + 1), scalar(random)], description: 'one of three' }
}

function oneOf(random: Random, depth: number): Schema {
  const kinds = ['circle', 'square'].map((kind) => ({
    type: 'object',
    properties: { kind: { const: kind }, size: any(random, depth + 1) },
    required: ['kind', 'size'],
  }))
  return { oneOf: [...kinds, { type: 'null' }] }
}

function allOf(random: Random, depth: number): Schema {
  const own = { properties: { left: any(random, depth + 1) }, required: ['left'] }
  return { type: 'object', allOf: [own, { properties: { right: scalar(random), left: true }, required: ['right'] }] }
}

function scalar(random: Random): Schema {
  const low = random.below(200) - 120
  const decimal = Number(((random.next() - 0.5) * 10 ** random.below(4)).toFixed(random.below(5)))
  const span = random.pick([0, 1, 5, 10, 99, 1000, 123456])
  return random.pick<() => Schema>([
    () => ({ type: 'string' }),
    () => ({ type: 'string', minLength: random.below(3), maxLength: 2 + random.below(12) }),
    () => ({ type: 'string', pattern: random.pick(patterns) }),
    () => ({ type: 'string', pattern: '^[a-d]*$', maxLength: 6, minLength: 2 }),
    () => ({ type: 'string', format: random.pick(formats) }),
    () => ({ type: 'integer' }),
    () => ({ type: 'integer', minimum: low, maximum: low + span }),
    () => ({ type: 'integer', exclusiveMinimum: low }),
    () => ({ type: 'integer', maximum: low, multipleOf: 1 + random.below(12) }),
    () => ({ type: 'number' }),
    () => ({ type: 'number', minimum: decimal, exclusiveMaximum: Number((decimal + 1 + span).toFixed(6)) }),
    () => ({ type: 'number', exclusiveMinimum: decimal }),
    () => ({ type: 'number', maximum: decimal }),
    () => ({ type: 'boolean' }),
    () => ({ type: ['integer', 'null', 'string'], minimum: 0, maxLength: 4 }),
    () => ({ enum: ['red', 'dark red', 'größe', 7, 7.5, null, { a: [1, 'x'] }] }),
    () => ({ type: 'string', enum: ['yes', 'no', 3] }),
    () => ({ const: random.pick<unknown>(['fixed', 12, false, []]) }),
  ])()
}
