import { describe, expect, it } from 'vitest'
import type { Constraint } from '#contracts/generation.ts'
import { compileConstraint } from '#src/engine/constraint/compile.ts'
import { Random } from './random.ts'
import { everyByte, pieces, vocabularyOf } from './vocabularies.ts'

/** As many tokens as a small model has, of the lengths and letters that such vocabularies have. */
function largeVocabulary(random: Random) {
  const common = [...new TextEncoder().encode('etaoinshrdlucmfwypvbgkjqxz')]
  const other = [...new TextEncoder().encode('ETAOINSHRDLU0123456789.,:;-_()[]{}"\'/\\=<>\n\t')]
  const tokens = [...everyByte, ...pieces]
  while (tokens.length < 49_150) {
    const hasSpace = random.chance(0.5)
    const isWord = random.chance(0.85)
    const letters = Array.from({ length: 2 + random.below(9) }, () =>
      random.pick(isWord ? common : random.pick([common, other])),
    )
    tokens.push(
      random.chance(0.06)
        ? new TextEncoder().encode(String.fromCodePoint(0xa0 + random.below(9_000)))
        : Uint8Array.from([...(hasSpace ? [32] : []), ...letters]),
    )
  }
  return vocabularyOf(tokens)
}

const person = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    biography: { type: 'string', maxLength: 400 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    tags: { type: 'array', items: { type: 'string' } },
    born: { type: 'string', format: 'date' },
    address: {
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
      required: ['street'],
    },
  },
  required: ['name', 'biography', 'age', 'tags'],
}

describe('the cost of a constraint', () => {
  const random = new Random(1)
  const vocabulary = largeVocabulary(random)
  const logits = new Float32Array(vocabulary.size)
  compileConstraint({ kind: 'choice', choices: ['a'] }, vocabulary)

  it.each<[string, Constraint]>([
    ['JSON mode', { kind: 'json' }],
    ['a schema', { kind: 'json-schema', schema: person }],
    ['a pattern', { kind: 'regex', pattern: '(?:[A-Z][a-z]{1,20} ?){1,40}\\.' }],
  ])('of %s is printed', (name, constraint) => {
    const began = performance.now()
    const compiled = compileConstraint(constraint, vocabulary)
    const compileMs = performance.now() - began
    const times: number[] = []
    for (let run = 0; run < 5; run++) {
      const position = compiled.start()
      for (let left = 200; left > 0 && !position.isComplete; left--) {
        logits.fill(0)
        const before = performance.now()
        position.mask(logits, left)
        times.push(performance.now() - before)
        let token = random.below(logits.length)
        while (logits[token] !== 0) token = (token + 1) % logits.length
        position.accept(token)
      }
      expect(position.isComplete).toBe(true)
    }
    const meanMs = times.reduce((sum, time) => sum + time, 0) / times.length
    const late = times.slice(times.length / 2).sort((a, b) => a - b)
    console.info(
      `${name}: compiled in ${compileMs.toFixed(1)} ms; ${times.length} masks, mean ${meanMs.toFixed(3)} ms, ` +
        `median once warm ${late[late.length >> 1]!.toFixed(3)} ms, worst ${Math.max(...times).toFixed(2)} ms`,
    )
  })
})
