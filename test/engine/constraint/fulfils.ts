/** A small validator of JSON Schema, written apart from the compiler so that neither can excuse the other's mistakes. */
type Schema = Readonly<Record<string, unknown>> | boolean

export function fulfils(value: unknown, schema: Schema, root: Schema = schema): boolean {
  if (typeof schema === 'boolean') return schema
  return Object.entries(schema).every(([keyword, wanted]) => {
    const check = checks[keyword]
    return check ? check(value, wanted as never, schema, root) : true
  })
}

type Check = (value: unknown, wanted: never, schema: Readonly<Record<string, unknown>>, root: Schema) => boolean

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const lengthOf = (value: string) => [...value].length
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

const checks: Readonly<Record<string, Check>> = {
  type: (value, wanted: string | string[]) => [wanted].flat().some((type) => hasType(value, type)),
  enum: (value, wanted: unknown[]) => wanted.some((option) => same(option, value)),
  const: (value, wanted: unknown) => same(wanted, value),
  anyOf: (value, wanted: Schema[], _, root) => wanted.some((schema) => fulfils(value, schema, root)),
  oneOf: (value, wanted: Schema[], _, root) => wanted.filter((schema) => fulfils(value, schema, root)).length === 1,
  allOf: (value, wanted: Schema[], _, root) => wanted.every((schema) => fulfils(value, schema, root)),
  $ref: (value, wanted: string, _, root) => {
    const target = wanted
      .split('/')
      .slice(1)
      .reduce<unknown>((at, key) => Reflect.get(Object(at), key), root)
    return fulfils(value, target as Schema, root)
  },
  properties: (value, wanted: Record<string, Schema>, _, root) =>
    !isObject(value) ||
    Object.entries(wanted).every(([name, schema]) => !Object.hasOwn(value, name) || fulfils(value[name], schema, root)),
  required: (value, wanted: string[]) => !isObject(value) || wanted.every((name) => Object.hasOwn(value, name)),
  additionalProperties: (value, wanted: Schema, schema, root) =>
    !isObject(value) ||
    Object.keys(value).every(
      (name) => Object.hasOwn(Object(schema.properties), name) || fulfils(value[name], wanted, root),
    ),
  items: (value, wanted: Schema, schema, root) =>
    !Array.isArray(value) ||
    value
      .slice(Array.isArray(schema.prefixItems) ? schema.prefixItems.length : 0)
      .every((item) => fulfils(item, wanted, root)),
  prefixItems: (value, wanted: Schema[], _, root) =>
    !Array.isArray(value) ||
    wanted.every((schema, index) => index >= value.length || fulfils(value[index], schema, root)),
  minItems: (value, wanted: number) => !Array.isArray(value) || value.length >= wanted,
  maxItems: (value, wanted: number) => !Array.isArray(value) || value.length <= wanted,
  minLength: (value, wanted: number) => typeof value !== 'string' || lengthOf(value) >= wanted,
  maxLength: (value, wanted: number) => typeof value !== 'string' || lengthOf(value) <= wanted,
  pattern: (value, wanted: string) => typeof value !== 'string' || new RegExp(wanted, 'u').test(value),
  format: (value, wanted: string) => typeof value !== 'string' || hasFormat(value, wanted),
  minimum: (value, wanted: number) => typeof value !== 'number' || value >= wanted,
  maximum: (value, wanted: number) => typeof value !== 'number' || value <= wanted,
  exclusiveMinimum: (value, wanted: number) => typeof value !== 'number' || value > wanted,
  exclusiveMaximum: (value, wanted: number) => typeof value !== 'number' || value < wanted,
  multipleOf: (value, wanted: number) => typeof value !== 'number' || Number.isInteger(value / wanted),
}

function hasType(value: unknown, type: string): boolean {
  if (type === 'object') return isObject(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  if (type === 'number') return typeof value === 'number' && Number.isFinite(value)
  return { string: 'string', boolean: 'boolean' }[type] === typeof value
}

function hasFormat(value: string, format: string): boolean {
  switch (format) {
    case 'date-time':
      return /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value)) && isDay(value.slice(0, 10))
    case 'date':
      return /^\d{4}-\d\d-\d\d$/.test(value) && isDay(value)
    case 'time':
      return !Number.isNaN(Date.parse(`2000-01-01T${value}`))
    case 'ipv4':
      return (
        value.split('.').length === 4 &&
        value.split('.').every((part) => String(Number(part)) === part && Number(part) < 256)
      )
    case 'ipv6':
      return URL.canParse(`http://[${value}]/`)
    case 'hostname':
      return /^[^.\s]+(\.[^.\s]+)*$/.test(value) && value.length < 254
    case 'email':
      return /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(value)
    case 'uuid':
      return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value)
    case 'duration':
      return /^P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)$/.test(value)
    default:
      throw new Error(`Unknown format ${format}`)
  }
}

function isDay(value: string): boolean {
  const day = new Date(`${value}T00:00:00Z`)
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)
}
