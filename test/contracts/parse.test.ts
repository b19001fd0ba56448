import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { parseBody } from '#contracts/parse.ts'

const schema = z.object({
  name: z.string().min(1).max(5),
  routes: z.array(z.object({ percent: z.number().int().min(0).max(100) })).max(2),
  size: z.enum(['Small', 'Large']).optional(),
  version: z.union([z.string(), z.number().int()]).optional(),
  shape: z.union([z.string(), z.object({ depth: z.number() })]).optional(),
  word: z
    .string()
    .refine((text) => /^[a-z]+$/.test(text), 'expected lower-case letters')
    .optional(),
  unique: z
    .string()
    .refine((text) => text !== 'taken', 'is taken already')
    .optional(),
  vars: z.record(z.string(), z.string()).optional(),
})

const good = { name: 'a', routes: [] }

function problem(value: unknown, where?: string): string {
  try {
    parseBody(schema, value, where)
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

describe('parseBody', () => {
  it('returns what the schema returns, unknown fields dropped', () => {
    expect(parseBody(schema, { ...good, extra: 1 })).toEqual(good)
  })

  it('refuses with 400 INVALID_PARAMETER_VALUE and the field', () => {
    try {
      parseBody(schema, { ...good, routes: [{ percent: 5 }, { percent: 101 }] })
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ status: 400, code: 'INVALID_PARAMETER_VALUE', field: 'routes[1].percent' })
    }
  })

  it.each([
    [{ routes: [] }, 'name: is missing; expected a string'],
    [{ ...good, name: 7 }, 'name: expected a string, 7 came'],
    [{ ...good, name: null }, 'name: expected a string, null came'],
    [{ ...good, name: '' }, 'name: expected at least 1 characters, 0 came'],
    [{ ...good, name: 'abcdef' }, 'name: expected at most 5 characters, 6 came'],
    [{ ...good, routes: {} }, 'routes: expected a list, an object came'],
    [{ ...good, routes: [1] }, 'routes[0]: expected an object, 1 came'],
    [
      { ...good, routes: [{ percent: 1 }, { percent: 1 }, { percent: 1 }] },
      'routes: expected at most 2 entries, 3 came',
    ],
    [{ ...good, routes: [{ percent: 1.5 }] }, 'routes[0].percent: expected an integer, 1.5 came'],
    [{ ...good, routes: [{ percent: -1 }] }, 'routes[0].percent: expected at least 0, -1 came'],
    [{ ...good, routes: [{ percent: '9' }] }, 'routes[0].percent: expected a number, "9" came'],
    [{ ...good, size: 'Huge' }, 'size: expected "Small" or "Large", "Huge" came'],
    [{ ...good, version: true }, 'version: expected a string or a number, true came'],
    [{ ...good, version: 1.5 }, 'version: expected a string or an integer, 1.5 came'],
    [{ ...good, shape: { depth: 'x' } }, 'shape.depth: expected a number, "x" came'],
    [{ ...good, word: 'A1' }, 'word: expected lower-case letters, "A1" came'],
    [{ ...good, unique: 'taken' }, 'unique: is taken already'],
    [{ ...good, vars: { A: 1 } }, 'vars.A: expected a string, 1 came'],
    [[1, 2], 'body: expected an object, a list of 2 came'],
    [undefined, 'body: is missing; expected an object'],
  ])('tells of %j: %s', (value, message) => {
    expect(problem(value)).toBe(message)
  })

  it('leads the path with where the value lies in the request', () => {
    expect(problem({ ...good, name: 7 }, 'config')).toBe('config.name: expected a string, 7 came')
    expect(problem(7, 'config')).toBe('config: expected an object, 7 came')
  })

  it('shortens a long text that came', () => {
    const message = problem({ ...good, word: 'A'.repeat(10_000) })
    expect(message.length).toBeLessThan(200)
  })
})
