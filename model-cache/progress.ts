/** What a reader of many shards tells about itself: the command line shows it as a bar, an endpoint's state as text. */
export interface Progress {
  /** The artifact's path. */
  artifact: string
  shardsDone: number
  shards: number
  bytesDone: number
  bytes: number
  /** Where the newest shard came from. */
  tier: string
  /** Of this read so far; bytes that an earlier read had already brought count as done but not as speed. */
  bytesPerSecond: number
}

export interface ProgressOptions {
  onProgress?: ((progress: Progress) => void) | undefined
  /** A clock in milliseconds. */
  now?: (() => number) | undefined
}

export interface ProgressMeter {
  /** One more shard is done. `isMoved` is false where its bytes were there before. */
  advance(sizeBytes: number, tier: string, isMoved?: boolean): void
}

export function progressMeter(
  total: Pick<Progress, 'artifact' | 'shards' | 'bytes'>,
  { onProgress, now = () => performance.now() }: ProgressOptions,
): ProgressMeter {
  if (!onProgress) return { advance: () => {} }
  const startedMs = now()
  let [shardsDone, bytesDone, movedBytes] = [0, 0, 0]
  return {
    advance(sizeBytes, tier, isMoved = true) {
      shardsDone += 1
      bytesDone += sizeBytes
      if (isMoved) movedBytes += sizeBytes
      const seconds = (now() - startedMs) / 1_000
      const bytesPerSecond = seconds > 0 ? Math.round(movedBytes / seconds) : 0
      onProgress({ ...total, shardsDone, bytesDone, tier, bytesPerSecond })
    },
  }
}
