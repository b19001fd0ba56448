/** Reading a control-plane body: JSON, bounded, whatever its content type says it is besides. */

import { limits } from '#contracts/limits.ts'
import { bodyFormat, parseJson, readBytes } from '#src/gateway/read-body.ts'
import type { Call } from './call.ts'

/** @throws {ServingError} 400, 413 or 415. */
export async function jsonBody(
  { request }: Pick<Call, 'request'>,
  limitBytes: number = limits.controlBytes,
): Promise<unknown> {
  bodyFormat(request.headers.get('content-type'), ['json'])
  return parseJson(await readBytes(request, limitBytes))
}
