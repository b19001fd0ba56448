/**
 * A server on loopback is reached by every page of every browser on the machine, through names that resolve to 127.0.0.1 and
 * through cross-site requests. So requests whose Host or Origin is not this machine are refused.
 */
import { permissionDenied } from '#contracts/errors.ts'

const local = /^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?$/i

/** A server has one name or two, so the one that was accepted last saves the match. */
let accepted: string | undefined

/** @throws {ServingError} 403 */
export function requireLocal(headers: Headers): void {
  const host = headers.get('host') ?? ''
  if (host !== accepted) {
    if (!local.test(host))
      throw permissionDenied(`Host "${host}" is not this machine; use 127.0.0.1, localhost or [::1].`)
    accepted = host
  }
  const origin = headers.get('origin')
  if (origin !== null && !local.test(origin.replace(/^https?:\/\//, ''))) {
    throw permissionDenied(`Requests from the origin "${origin}" are not accepted.`)
  }
}
