/** From the probability of speech in each frame to segments of speech. Times are counted in frames. */
export interface SegmentOptions {
  threshold: number
  /** Shorter speech is left out. */
  minSpeechFrames: number
  /** Speech goes on over shorter silence. */
  minSilenceFrames: number
}

/** Where a sound that comes in pieces stands between two of them. */
export interface SegmentState {
  frame: number
  /** Where the speech began that goes on; −1 for none. */
  speechFrom: number
  /** Where the silence began after it; −1 while it is speech. */
  silenceFrom: number
}

export interface Segment {
  start: number
  end: number
}

export function newSegmentState(): SegmentState {
  return { frame: 0, speechFrom: -1, silenceFrom: -1 }
}

/** Follows one frame; gives the segment that is certain to have ended with it. */
export function followFrame(state: SegmentState, probability: number, options: SegmentOptions): Segment | undefined {
  const at = state.frame++
  if (probability >= options.threshold) {
    if (state.speechFrom < 0) state.speechFrom = at
    state.silenceFrom = -1
    return undefined
  }
  if (state.speechFrom < 0) return undefined
  if (state.silenceFrom < 0) state.silenceFrom = at
  return state.frame - state.silenceFrom >= options.minSilenceFrames ? endSpeech(state, options) : undefined
}

/** The segment that goes on, as if the sound ended here. */
export function endSpeech(state: SegmentState, { minSpeechFrames }: SegmentOptions): Segment | undefined {
  const { speechFrom: start, silenceFrom, frame } = state
  state.speechFrom = -1
  state.silenceFrom = -1
  if (start < 0) return undefined
  const end = silenceFrom < 0 ? frame : silenceFrom
  return end - start >= minSpeechFrames ? { start, end } : undefined
}
