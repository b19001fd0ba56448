import { ServingError } from '#contracts/errors.ts'

/** What is asked for is well formed, and what it is asked of is not in a state to do it; waiting does not help. */
export function invalidState(message: string): ServingError {
  return new ServingError({ code: 'INVALID_STATE', status: 400, message })
}
