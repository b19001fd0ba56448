/**
 * Every failure that glim means to show somebody is a `ServingError`: a stable `code`, the HTTP `status`, whether a retry can
 * help, and a message composed from facts. The wire shape of each dialect is made from these fields in one place
 * (`src/gateway/error-body.ts`); anything else that is thrown is a fault of ours and its text stays inside.
 *
 * The marker is a registered symbol, so that recognition survives two copies of this module in two isolates.
 */
const marker = Symbol.for('glim.ServingError')

/** The native API's `error_code` values (clients map these before the status). */
export type ErrorCode =
  | 'BAD_REQUEST'
  | 'INVALID_PARAMETER_VALUE'
  | 'INVALID_STATE'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_DOES_NOT_EXIST'
  | 'ENDPOINT_NOT_FOUND'
  | 'RESOURCE_ALREADY_EXISTS'
  | 'RESOURCE_CONFLICT'
  | 'RESOURCE_EXHAUSTED'
  | 'REQUEST_LIMIT_EXCEEDED'
  | 'NOT_IMPLEMENTED'
  | 'INTERNAL_ERROR'
  | 'DATA_LOSS'
  | 'TEMPORARILY_UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'

export interface ServingErrorFacts {
  code: ErrorCode
  status: number
  message: string
  /** Whether the same request may succeed later; sets `Retry-After` on the wire. */
  retryable?: boolean
  retryAfterSeconds?: number
  /** The request field at fault, as a path (`inputs.text[2]`), for dialects that carry one. */
  field?: string
  /** What a model said when it failed; shown as `stack_trace` by the native dialect. */
  modelTrace?: string
}

export class ServingError extends Error {
  readonly [marker] = true
  readonly code: ErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly retryAfterSeconds: number | undefined
  readonly field: string | undefined
  readonly modelTrace: string | undefined

  constructor(facts: ServingErrorFacts) {
    super(facts.message)
    this.name = 'ServingError'
    this.code = facts.code
    this.status = facts.status
    this.retryable = facts.retryable ?? false
    this.retryAfterSeconds = facts.retryAfterSeconds
    this.field = facts.field
    this.modelTrace = facts.modelTrace
  }

  /** The plain-data form in which an error crosses from the host to the dispatcher. */
  toJSON(): ServingErrorFacts {
    return {
      code: this.code,
      status: this.status,
      message: this.message,
      retryable: this.retryable,
      ...(this.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: this.retryAfterSeconds }),
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.modelTrace === undefined ? {} : { modelTrace: this.modelTrace }),
    }
  }
}

export function isServingError(value: unknown): value is ServingError {
  return typeof value === 'object' && value !== null && marker in value
}

/** A body that is not in any accepted form. */
export function badRequest(message: string, field?: string): ServingError {
  return new ServingError({ code: 'BAD_REQUEST', status: 400, message, ...(field ? { field } : {}) })
}

/** A well-formed request with a value that cannot be. The message leads with the field's path. */
export function invalidParameter(field: string, problem: string): ServingError {
  return new ServingError({ code: 'INVALID_PARAMETER_VALUE', status: 400, message: `${field}: ${problem}`, field })
}

export function unauthenticated(message: string): ServingError {
  return new ServingError({ code: 'UNAUTHENTICATED', status: 401, message })
}

export function permissionDenied(message: string): ServingError {
  return new ServingError({ code: 'PERMISSION_DENIED', status: 403, message })
}

export function doesNotExist(message: string, field?: string): ServingError {
  return new ServingError({ code: 'RESOURCE_DOES_NOT_EXIST', status: 404, message, ...(field ? { field } : {}) })
}

export function alreadyExists(message: string): ServingError {
  return new ServingError({ code: 'RESOURCE_ALREADY_EXISTS', status: 409, message })
}

/** The resource is busy with another change; the same call succeeds once that has ended. */
export function conflict(message: string): ServingError {
  return new ServingError({ code: 'RESOURCE_CONFLICT', status: 409, message })
}

export function tooLarge(what: string, sizeBytes: number | undefined, limitBytes: number): ServingError {
  const came = sizeBytes === undefined ? 'more' : `${sizeBytes} bytes`
  return new ServingError({
    code: 'INVALID_PARAMETER_VALUE',
    status: 413,
    message: `${what} may have at most ${limitBytes} bytes; ${came} came.`,
  })
}

/** A known route or option that glim does not have; names it. */
export function notBuilt(what: string): ServingError {
  return new ServingError({
    code: 'NOT_IMPLEMENTED',
    status: 501,
    message: `${what} is not built in this version of glim.`,
  })
}

/** Capacity is used up for the moment; retry after the given time. */
export function exhausted(message: string, retryAfterSeconds: number): ServingError {
  return new ServingError({ code: 'RESOURCE_EXHAUSTED', status: 429, message, retryable: true, retryAfterSeconds })
}

/** Something is coming up or restarting; retry after the given time. */
export function unavailable(message: string, retryAfterSeconds: number): ServingError {
  return new ServingError({
    code: 'TEMPORARILY_UNAVAILABLE',
    status: 503,
    message,
    retryable: true,
    retryAfterSeconds,
  })
}

export function deadlineExceeded(limitMs: number): ServingError {
  return new ServingError({
    code: 'DEADLINE_EXCEEDED',
    status: 504,
    message: `Request processing time exceeded limit of ${limitMs} ms.`,
  })
}

/** The caller went away; nobody reads this, so its status is the usual one of logs. */
export function cancelled(): ServingError {
  return new ServingError({ code: 'CANCELLED', status: 499, message: 'The caller went away.' })
}

/** The model refused or failed on this input: the caller's or the model's fault, never retried. */
export function modelFailed(message: string, modelTrace?: string): ServingError {
  return new ServingError({ code: 'BAD_REQUEST', status: 400, message, ...(modelTrace ? { modelTrace } : {}) })
}

/** Stored bytes do not match their digest and no copy does: final. */
export function dataLoss(message: string): ServingError {
  return new ServingError({ code: 'DATA_LOSS', status: 500, message })
}

export function internal(message: string): ServingError {
  return new ServingError({ code: 'INTERNAL_ERROR', status: 500, message })
}
