/**
 * The one place where a failure becomes a reply, in the shape of the caller's dialect. A `ServingError` shows its facts; any
 * other exception shows only that it happened, and its request id.
 */
import { internal, isServingError, type ServingError } from '#contracts/errors.ts'

export type Dialect = 'native' | 'openai' | 'anthropic' | 'open-inference'

export function errorResponse(error: unknown, dialect: Dialect, requestId: string): Response {
  const shown = isServingError(error) ? error : internal(`The request failed inside glim (request ${requestId}).`)
  const headers = new Headers({ 'content-type': 'application/json', 'x-request-id': requestId })
  // Anthropic's clients look for the id under a name of their own.
  if (dialect === 'anthropic') headers.set('request-id', requestId)
  if (shown.status === 401) headers.set('www-authenticate', 'Bearer')
  if (shown.retryable || shown.retryAfterSeconds !== undefined)
    headers.set('retry-after', String(shown.retryAfterSeconds ?? 1))
  return new Response(JSON.stringify(errorBody(shown, dialect, requestId)), { status: shown.status, headers })
}

/** OpenAI's `error` object, alone in the middle of a stream. */
export function openaiError({ message, status, code, field }: ServingError) {
  return { message, type: openaiType(status), code: code.toLowerCase(), param: field ?? null }
}

export function errorBody(error: ServingError, dialect: Dialect, requestId: string): unknown {
  const { message, code } = error
  switch (dialect) {
    case 'native':
      return {
        error_code: code,
        message,
        ...(error.modelTrace === undefined ? {} : { stack_trace: error.modelTrace }),
        ...details(error, requestId),
      }
    case 'openai':
      // Both bodies: OpenAI clients read `error`, clients of the native API read `error_code`.
      return {
        error: openaiError(error),
        error_code: code,
        message,
      }
    case 'anthropic':
      return { type: 'error', error: { type: anthropicType(error.status), message }, request_id: requestId }
    case 'open-inference':
      return { error: message }
  }
}

function details(error: ServingError, requestId: string): { details?: unknown[] } {
  if (error.field === undefined) return {}
  return {
    details: [
      {
        '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
        reason: error.code,
        domain: 'glim',
        metadata: { field: error.field, request_id: requestId },
      },
    ],
  }
}

function openaiType(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}

function anthropicType(status: number): string {
  const types: Readonly<Record<number, string>> = {
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    503: 'overloaded_error',
  }
  return types[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
}
