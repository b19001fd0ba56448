/**
 * What goes wrong at the command line, with what to do about it. The exit code tells scripts whose turn it is: theirs to
 * retry, the caller's to correct the command, or somebody's to start the server.
 */
import { isServingError } from '#contracts/errors.ts'
import { ServerUnreachable } from '#src/client/http.ts'
import { SourceError } from '#src/client/sources/source-error.ts'

export const exitCodes = {
  0: 'it worked',
  1: 'the server refused, or the work failed',
  2: 'the command line is wrong, or names a file that is not there',
  3: 'no server answers',
} as const

export type ExitCode = keyof typeof exitCodes

export class Failure extends Error {
  readonly exitCode: ExitCode
  readonly code: string

  constructor(exitCode: ExitCode, code: string, message: string) {
    super(message)
    this.name = 'Failure'
    this.exitCode = exitCode
    this.code = code
  }
}

/** The command line is wrong. */
export function usage(message: string): Failure {
  return new Failure(2, 'USAGE', message)
}

/** The work failed although the command was right. */
export function failed(code: string, message: string): Failure {
  return new Failure(1, code, message)
}

/** Any thrown value as what is shown of it. Faults of ours keep their stack: there is nobody else to whom it is a secret. */
export function failureFrom(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (error instanceof ServerUnreachable)
    return new Failure(3, 'NO_SERVER', `${error.message} Start one with: npm start`)
  if (error instanceof SourceError) return new Failure(isMistyped(error) ? 2 : 1, error.code, error.message)
  if (isServingError(error)) return new Failure(1, error.code, `${error.message}${hintFor(error.status)}`)
  return new Failure(1, 'INTERNAL_ERROR', error instanceof Error ? (error.stack ?? error.message) : String(error))
}

function isMistyped({ code }: SourceError): boolean {
  return code === 'SOURCE_NOT_UNDERSTOOD' || code === 'SOURCE_NOT_FOUND' || code === 'INSECURE_URL'
}

function hintFor(status: number): string {
  return status === 401
    ? " Give the server's token in GLIM_TOKEN, or set GLIM_HOME to the folder it was started with."
    : ''
}
