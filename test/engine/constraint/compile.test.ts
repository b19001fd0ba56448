import { describe, expect, it } from 'vitest'
import type { Constraint } from '#contracts/generation.ts'
import { compileConstraint } from '#src/engine/constraint/compile.ts'
import type { CompiledConstraint, TokenVocabulary } from '#src/engine/generation/seams.ts'
import { fulfils } from './fulfils.ts'
import { Random } from './random.ts'
import { randomSchema } from './random-schema.ts'
import { everyByte, mixedVocabulary, pieces, vocabularyOf, wholeCharacterVocabulary } from './vocabularies.ts'
import { writeText } from './write-text.ts'

const vocabulary = mixedVocabulary(new Random(1), 300)

const closedAndExtended = {
  allOf: [
    { type: 'object', properties: { a: {} }, additionalProperties: false },
    { type: 'object', properties: { b: {} } },
  ],
}

const schemaConstraint = (schema: unknown): Constraint => ({ kind: 'json-schema', schema })

/** Texts written at the fewest tokens, and at more. */
function texts(constraint: Constraint, random: Random, count: number, words: TokenVocabulary = vocabulary): string[] {
  const compiled = compileConstraint(constraint, words)
  return Array.from({ length: count }, (_, index) => {
    const room = index % 2 === 0 ? 0 : random.below(60)
    return writeText(compiled, words, random, compiled.fewestTokens + room).text
  })
}

function canRead(compiled: CompiledConstraint, text: string): boolean {
  const position = compiled.start()
  const bytes = new TextEncoder().encode(text)
  try {
    for (const byte of bytes) position.accept(byte)
  } catch {
    return false
  }
  const logits = new Float32Array(vocabulary.size)
  position.mask(logits, 100)
  return logits[[...vocabulary.endTokens][0]!] === 0
}

describe('compileConstraint', () => {
  it.each([1, 2, 3, 4])(
    'lets random tokens fulfil random schemas, however few remain (250 of a thousand: %i)',
    (seed) => {
      const random = new Random(seed)
      for (let run = 0; run < 250; run++) {
        const schema = randomSchema(random)
        const compiled = compileConstraint(schemaConstraint(schema), vocabulary)
        for (const room of [0, random.below(80)]) {
          const { text } = writeText(compiled, vocabulary, random, compiled.fewestTokens + room)
          const isValid = fulfils(JSON.parse(text), schema)
          if (!isValid) expect.fail(`${text} does not fulfil ${JSON.stringify(schema)}`)
        }
      }
    },
  )

  it('does the same with a vocabulary that lacks bytes', () => {
    const random = new Random(3)
    const words = wholeCharacterVocabulary()
    for (let run = 0; run < 100; run++) {
      const { properties, required, ...rest } = randomSchema(random)
      // The name with ß cannot be spelled by these tokens.
      const { größe: _, ...spelled } = properties as Record<string, unknown>
      const schema = {
        ...rest,
        properties: spelled,
        required: (required as string[]).filter((name) => name !== 'größe'),
      }
      if (JSON.stringify(schema).includes('größe":')) continue
      for (const text of texts(schemaConstraint(schema), random, 2, words))
        expect(fulfils(JSON.parse(text), schema)).toBe(true)
    }
  })

  it('leaves possible exactly the tokens that the grammar can follow', () => {
    const random = new Random(4)
    for (let run = 0; run < 60; run++) {
      const compiled = compileConstraint(schemaConstraint(randomSchema(random)), vocabulary)
      const { tokens } = writeText(compiled, vocabulary, random, compiled.fewestTokens + 20)
      const prefix = tokens.slice(0, random.below(tokens.length))
      const logits = new Float32Array(vocabulary.size)
      const resumed = () => {
        const position = compiled.start()
        for (const token of prefix) position.accept(token)
        return position
      }
      resumed().mask(logits, 10_000)
      const tokensOfText = Array.from({ length: vocabulary.size - 2 }, (_, token) => token)
      const follows = (token: number) => {
        const position = resumed()
        try {
          position.accept(token)
          return true
        } catch {
          return false
        }
      }
      expect(tokensOfText.filter((token) => logits[token] === 0)).toEqual(tokensOfText.filter(follows))
    }
  })

  it('writes JSON mode as objects', () => {
    for (const text of texts({ kind: 'json' }, new Random(5), 50)) {
      const value = JSON.parse(text)
      expect(typeof value === 'object' && value !== null && !Array.isArray(value)).toBe(true)
    }
  })

  it('writes one of the choices', () => {
    const choices = ['yes', 'yes please', 'no', '日本', '"quoted"\n']
    const written = new Set(texts({ kind: 'choice', choices }, new Random(6), 80))
    expect([...written].sort()).toEqual([...choices].sort())
  })

  it.each([
    '[a-f0-9]{3,6}',
    '(?:ab|c)*d?',
    '[^x]{2}',
    '\\w+@\\w+\\.(?:com|org)',
    '\\d{4}-\\d{2}',
    'é+|日{2}|\\u{1F600}',
    '.{0,3}',
    '[\\s\\S]{4}',
    '(?<year>\\d+?)\\.?',
    '\\u00e9\\x41\\cA[\\b\\-\\]]',
    '^begin|end$',
    '[\\ud83d\\ude00-\\u{1F64F}]',
    '',
  ])('writes texts that /%s/ matches whole', (pattern) => {
    const matcher = new RegExp(`^(?:${pattern})$`, 'u')
    for (const text of texts({ kind: 'regex', pattern }, new Random(7), 30)) expect(text).toMatch(matcher)
  })

  it('knows that nothing may follow, and that a text may end and go on', () => {
    const compiled = compileConstraint({ kind: 'choice', choices: ['a', 'ab'] }, vocabulary)
    const position = compiled.start()
    const logits = new Float32Array(vocabulary.size)
    const [end] = vocabulary.endTokens
    position.mask(logits, 5)
    expect(logits[end!]).toBe(-Infinity)
    position.accept(97)
    expect(position.isComplete).toBe(false)
    logits.fill(0)
    position.mask(logits, 5)
    expect([logits[end!], logits[98], logits[97]]).toEqual([0, 0, -Infinity])
    position.accept(98)
    expect(position.isComplete).toBe(true)
  })

  it('is complete after an end token', () => {
    const position = compileConstraint({ kind: 'regex', pattern: 'a*' }, vocabulary).start()
    position.accept([...vocabulary.endTokens][0]!)
    expect(position.isComplete).toBe(true)
  })

  it('masks logits that belong to no token', () => {
    const logits = new Float32Array(vocabulary.size + 70)
    compileConstraint({ kind: 'json' }, vocabulary).start().mask(logits, 9)
    expect([...logits.subarray(vocabulary.size)].every((logit) => logit === -Infinity)).toBe(true)
  })

  it('counts the tokens of the shortest text', () => {
    expect(compileConstraint({ kind: 'choice', choices: ['arguments', '12100'] }, vocabulary).fewestTokens).toBe(1)
    expect(compileConstraint({ kind: 'regex', pattern: 'z{40}' }, vocabularyOf(everyByte)).fewestTokens).toBe(40)
    expect(compileConstraint({ kind: 'json' }, vocabularyOf(everyByte)).fewestTokens).toBe(2)
  })

  it('takes the shortest way where fewer tokens remain than that', () => {
    const compiled = compileConstraint({ kind: 'json' }, vocabulary)
    const { text } = writeText(compiled, vocabulary, new Random(8), 1)
    expect(text[0]).toBe('{')
  })

  it('writes no lone surrogate and no broken UTF-8', () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
    for (const text of texts(schemaConstraint(schema), new Random(9), 200)) {
      expect(JSON.parse(text).a.isWellFormed()).toBe(true)
    }
  })

  it('reads every spelling of a string that JSON has', () => {
    const compiled = compileConstraint(schemaConstraint({ type: 'string' }), vocabulary)
    for (const text of ['"\\ud83d\\ude00"', '"\\u00e9é\\/\\b\\f\\n\\r\\t\\"\\\\"', '"😀日"', '""'])
      expect(canRead(compiled, text)).toBe(true)
    for (const text of ['"\\ud83d"', '"\\ude00"', '"\n"', '"', '"\\x"', "'a'"])
      expect(canRead(compiled, text)).toBe(false)
  })

  it('bounds integers exactly', () => {
    for (const [minimum, maximum] of [
      [-12, 7],
      [0, 0],
      [95, 1003],
      [-1000, -999],
      [-5, 120],
    ] as const) {
      const compiled = compileConstraint(schemaConstraint({ type: 'integer', minimum, maximum }), vocabulary)
      const read = Array.from({ length: 2_300 }, (_, index) => index - 1_150).filter((value) =>
        canRead(compiled, String(value)),
      )
      expect([read[0], read.at(-1), read.length]).toEqual([minimum, maximum, maximum - minimum + 1])
    }
  })

  it('bounds decimals exactly', () => {
    const compiled = compileConstraint(
      schemaConstraint({ type: 'number', minimum: -0.25, exclusiveMaximum: 1.5 }),
      vocabulary,
    )
    for (const text of ['-0.25', '-0.250', '0', '1', '1.49', '1.499999', '-0.1', '0.0'])
      expect(canRead(compiled, text)).toBe(true)
    for (const text of ['-0.26', '-0.2501', '1.5', '1.50', '2', '-1', '10', '01'])
      expect(canRead(compiled, text)).toBe(false)
  })

  it('gives other members names that the schema does not list', () => {
    const schema = { type: 'object', properties: { ab: { type: 'null' } }, additionalProperties: { type: 'integer' } }
    const compiled = compileConstraint(schemaConstraint(schema), vocabulary)
    for (const text of ['{"ab":null,"a":1}', '{"abc":1}', '{"":1,"b":2}', '{}'])
      expect(canRead(compiled, text)).toBe(true)
    for (const text of ['{"ab":1}', '{"a":1,"ab":null}', '{"\\u0061b":1}', '{"b":null}'])
      expect(canRead(compiled, text)).toBe(false)
  })

  it('merges what allOf and keywords beside a reference ask for', () => {
    const schema = {
      $defs: { base: { type: 'object', properties: { a: { type: 'integer', minimum: 1 } }, required: ['a'] } },
      $ref: '#/$defs/base',
      properties: { a: { maximum: 2 }, b: { type: 'null' } },
    }
    const compiled = compileConstraint(schemaConstraint(schema), vocabulary)
    for (const text of ['{"a":1}', '{"a":2,"b":null}']) expect(canRead(compiled, text)).toBe(true)
    for (const text of ['{"a":3}', '{"a":0}', '{"b":null}']) expect(canRead(compiled, text)).toBe(false)
  })

  it('completes texts whose alternatives stay alike for long', () => {
    const list = (items: unknown) => ({ type: 'array', items, maxItems: 2 })
    const schema = {
      anyOf: [list({ $ref: '#' }), list({ anyOf: [{ $ref: '#' }, { type: 'null' }] }), { type: 'integer' }],
    }
    for (const text of texts(schemaConstraint(schema), new Random(11), 20))
      expect(fulfils(JSON.parse(text), schema)).toBe(true)
  })

  it('serves several texts at once from one compilation', () => {
    const compiled = compileConstraint({ kind: 'json' }, vocabulary)
    const alone = writeText(compiled, vocabulary, new Random(10), 40).text
    const other = compiled.start()
    other.accept(0x7b)
    expect(writeText(compiled, vocabulary, new Random(10), 40).text).toBe(alone)
    expect(() => other.accept(0x22)).not.toThrow()
  })
})

describe('compileConstraint refuses', () => {
  const root = 'response_format.json_schema.schema'
  const inProperty = (schema: unknown) => ({ type: 'object', properties: { list: { type: 'array', items: schema } } })
  const at = `${root}.properties.list.items`

  it.each([
    ...[
      'not',
      'if',
      'then',
      'patternProperties',
      'dependentRequired',
      'unevaluatedProperties',
      'contains',
      'uniqueItems',
    ],
    ...['minProperties', 'maxProperties', 'propertyNames', 'additionalItems', 'nullable', '$dynamicRef', 'constructor'],
  ])('the keyword %s by its path', (keyword) => {
    expect(() => compileConstraint(schemaConstraint(inProperty({ [keyword]: {} })), vocabulary)).toThrow(
      expect.objectContaining({ field: `${at}.${keyword}`, status: 400 }),
    )
  })

  it.each<[string, unknown, string, RegExp]>([
    ['an unknown type', { type: 'text' }, '.type', /expected object, array/],
    ['an unknown format', { type: 'string', format: 'uri' }, '.format', /expected one of date.*"uri"/],
    ['a lookahead', { pattern: '^(?!a)' }, '.pattern', /lookahead/],
    ['a lookbehind', { pattern: '(?<=a)b' }, '.pattern', /lookbehind/],
    ['a back reference', { pattern: '(a)\\1' }, '.pattern', /back reference/],
    ['a word boundary', { pattern: '\\bword' }, '.pattern', /word boundary/],
    ['an unclosed group', { pattern: '(a' }, '.pattern', /parenthesis/],
    ['a fraction in multipleOf', { type: 'number', multipleOf: 0.1 }, '.multipleOf', /whole numbers/],
    ['a negative length', { type: 'string', minLength: -1 }, '.minLength', /at least 0/],
    ['lengths out of order', { minLength: 3, maxLength: 2 }, '.minLength', /more than maxLength/],
    ['bounds without a number between', { type: 'integer', minimum: 2, maximum: 1 }, '', /no number/],
    ['a tuple in items', { items: [{}] }, '.items', /prefixItems/],
    ['more items than possible', { prefixItems: [{}], items: false, minItems: 2 }, '.minItems', /at most 1/],
    ['a reference elsewhere', { $ref: 'https://example.com/schema' }, '.$ref', /within the schema/],
    ['a reference to nothing', { $ref: '#/$defs/none' }, '.$ref', /leads nowhere/],
    ['schemas that overlap', { oneOf: [{ type: 'string' }, { type: 'string', maxLength: 2 }] }, '.oneOf', /0 and 1/],
    ['no listed value of the type', { type: 'string', enum: [1] }, '', /none of its listed values/],
    ['types that exclude each other', { type: 'string', allOf: [{ type: 'null' }] }, '.type', /no type/],
    ['a length beside enum', { enum: ['a'], maxLength: 2 }, '.maxLength', /beside enum/],
    ['a closed object that is extended', closedAndExtended, '.additionalProperties', /"b"/],
    ['a required property that is excluded', { required: ['a'], additionalProperties: false }, '.required', /"a"/],
    ['false as a value', { anyOf: [false] }, '.anyOf[0]', /admits no value/],
    ['a number for a schema', 3, '', /expected a JSON Schema/],
  ])('%s', (_, schema, path, message) => {
    expect(() => compileConstraint(schemaConstraint(inProperty(schema)), vocabulary)).toThrow(
      expect.objectContaining({ field: `${at}${path}`, status: 400, message: expect.stringMatching(message) }),
    )
  })

  it('a schema that is nothing but itself', () => {
    for (const schema of [{ $ref: '#' }, { anyOf: [{ $ref: '#' }, { type: 'null' }] }, { allOf: [{ $ref: '#' }] }])
      expect(() => compileConstraint(schemaConstraint(schema), vocabulary)).toThrow(
        expect.objectContaining({ status: 400 }),
      )
  })

  it('a value that holds itself without end', () => {
    const schema = { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }
    expect(() => compileConstraint(schemaConstraint(schema), vocabulary)).toThrow(/no text fulfils it/)
  })

  it('what outgrows the states', () => {
    for (const pattern of ['(a?){5000}(b{100}){200}', '[^a]{9999}', '(.*a.{16})'])
      expect(() => compileConstraint({ kind: 'regex', pattern }, vocabulary)).toThrow(/more than 20000 states/)
  })

  it('a part that alone outgrows the states, by its path', () => {
    const schema = inProperty({ type: 'string', maxLength: 50_000 })
    expect(() => compileConstraint(schemaConstraint(schema), vocabulary)).toThrow(
      expect.objectContaining({ field: at, message: expect.stringContaining('20000 states') }),
    )
  })

  it('alternatives that multiply, when a text reaches them and without harm to others', () => {
    const one = { type: 'array', items: { $ref: '#' }, maxItems: 1 }
    const branches = Array.from({ length: 12 }, (_, index) => ({ ...one, maxItems: index + 1 }))
    const words = vocabularyOf([...everyByte, new TextEncoder().encode('['.repeat(12))])
    const compiled = compileConstraint(schemaConstraint({ anyOf: [...branches, { type: 'null' }] }), words)
    const logits = new Float32Array(words.size)
    expect(() => compiled.start().mask(logits, 40)).toThrow(/begin alike/)
    logits.fill(0)
    compileConstraint({ kind: 'choice', choices: ['a'] }, words)
      .start()
      .mask(logits, 40)
    expect([...logits.keys()].filter((token) => logits[token] === 0)).toEqual([97])
  })

  it('what is too long', () => {
    expect(() => compileConstraint({ kind: 'regex', pattern: 'a'.repeat(70_000) }, vocabulary)).toThrow(/65536/)
  })

  it('a text that no tokens of the vocabulary spell', () => {
    const words = vocabularyOf(pieces)
    expect(() => compileConstraint({ kind: 'choice', choices: ['maybe'] }, words)).toThrow(/tokens can spell/)
  })
})
