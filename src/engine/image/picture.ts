/** A decoded picture: 8-bit RGB, rows from top to bottom. */
import { badRequest, type ServingError } from '#contracts/errors.ts'

export interface Picture {
  readonly width: number
  readonly height: number
  /** `width * height * 3` bytes. */
  readonly rgb: Uint8Array
}

/** A picture that cannot be decoded, with the reason; the caller adds the request's field. */
export function badPicture(reason: string): ServingError {
  return badRequest(`The picture cannot be read: ${reason}`)
}
