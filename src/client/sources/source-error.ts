/** What can be wrong with a source, as a code for programs and a sentence for people. Neither ever holds a token. */
export type SourceErrorCode =
  | 'SOURCE_NOT_UNDERSTOOD'
  | 'SOURCE_NOT_FOUND'
  | 'SOURCE_REFUSED'
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_INVALID'
  | 'SOURCE_TOO_LARGE'
  | 'SOURCE_CHANGED'
  | 'INSECURE_URL'
  | 'LINK_LEAVES_SOURCE'
  | 'DIGEST_MISMATCH'
  | 'FLAVOR_MISSING'

export class SourceError extends Error {
  readonly code: SourceErrorCode

  constructor(code: SourceErrorCode, message: string) {
    super(message)
    this.name = 'SourceError'
    this.code = code
  }
}

export function notUnderstood(message: string): SourceError {
  return new SourceError('SOURCE_NOT_UNDERSTOOD', message)
}

export function notFound(message: string): SourceError {
  return new SourceError('SOURCE_NOT_FOUND', message)
}

export function invalid(message: string): SourceError {
  return new SourceError('SOURCE_INVALID', message)
}

export function tooLarge(name: string, sizeBytes: number, mostBytes: number): SourceError {
  return new SourceError('SOURCE_TOO_LARGE', `${name} has ${sizeBytes} bytes; at most ${mostBytes} can be used.`)
}

export function changed(name: string, what: string): SourceError {
  return new SourceError(
    'SOURCE_CHANGED',
    `${name} is not what it was when the import began: ${what}. Import it again.`,
  )
}

export function digestMismatch(path: string, expected: string, actual: string): SourceError {
  return new SourceError('DIGEST_MISMATCH', `${path} should be ${expected} and is ${actual}. Nothing was registered.`)
}
