/** The bytes of a range as an origin sends them, counted: neither fewer nor more, and never waiting for long. */
import { dataLoss, isServingError, unavailable } from '#contracts/errors.ts'
import { addressOf, asOriginError, type OriginFile, openRange, type RangeRequest } from './origin.ts'
import { type Sleep, sleepFor } from './retry.ts'

export interface ReadRangeOptions extends Omit<RangeRequest, 'signal'> {
  signal?: AbortSignal | undefined
  /** How long the origin may send nothing. */
  idleMs?: number | undefined
  sleep?: Sleep | undefined
  /** Hears the tag of the file before its first byte. */
  onEtag?: ((etag: string | undefined) => void) | undefined
}

/**
 * Resolves once exactly `toByte - fromByte` bytes went to `onBytes`, in order.
 *
 * @throws {ServingError} as `openRange`; TEMPORARILY_UNAVAILABLE where the body breaks off, ends early or stalls, retryable;
 * DATA_LOSS where more comes than the file has, final. What `onBytes` throws comes through as it is.
 */
export async function readRange(
  file: OriginFile,
  { signal, idleMs = 30_000, sleep = sleepFor, onEtag, ...range }: ReadRangeOptions,
  onBytes: (chunk: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const where = addressOf(file.url)
  const stop = new AbortController()
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const timely = <T>(work: Promise<T>) => withinIdle(work, where, idleMs, sleep)
  const wanted = range.toByte - range.fromByte
  const isTail = range.toByte === range.sizeBytes

  try {
    const { body, skipBytes, etag } = await timely(openRange(file, { ...range, signal: either }))
    onEtag?.(etag)
    const reader = body.getReader()
    const read = () =>
      timely(reader.read()).catch((error: unknown) => {
        throw isServingError(error) ? error : asOriginError(error, where, signal)
      })
    let [skipped, taken] = [0, 0]
    while (taken < wanted) {
      const { done, value } = await read()
      if (done) throw unavailable(`${where} ended after ${taken} of the ${wanted} bytes asked for.`, 5)
      const skip = Math.min(skipBytes - skipped, value.byteLength)
      skipped += skip
      const chunk = value.subarray(skip, skip + wanted - taken)
      if (isTail && value.byteLength - skip > chunk.byteLength) throw tooLong(where, range.toByte)
      taken += chunk.byteLength
      if (chunk.byteLength > 0) await onBytes(chunk)
    }
    if (isTail && !(await read()).done) throw tooLong(where, range.toByte)
  } finally {
    // Ends also what a server without ranges would send beyond this one.
    stop.abort(new Error('read'))
  }
}

function tooLong(where: string, sizeBytes: number) {
  return dataLoss(`${where} has more than ${sizeBytes} bytes at the origin.`)
}

/** @throws {ServingError} TEMPORARILY_UNAVAILABLE where the work takes longer than an origin may be silent; retryable. */
async function withinIdle<T>(work: Promise<T>, where: string, idleMs: number, sleep: Sleep): Promise<T> {
  const done = new AbortController()
  const late = sleep(idleMs, done.signal).then(() => {
    throw unavailable(`${where} sent nothing for ${idleMs / 1_000} s.`, 5)
  })
  for (const loser of [late, work]) loser.catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
  }
}
