/** Equality of things that hold megabytes: `toEqual` goes through typed arrays element by element, which takes it seconds. */
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'

/** `expect(actual).toEqual(expected)`, which is left to tell the difference where the bytes are not the same. */
export function expectEqual(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected)
}
