/**
 * What of a choice's text is shown, and as what: the text ends before the first stop text, and what the model writes between its
 * reasoning tags is kept apart.
 *
 * Both are found across token borders. What may still become a stop text or a tag is held back, so the pieces depend only on the
 * text, never on how it was cut into deltas: the match that ends first counts, and of two that end together the longer one.
 *
 * Reasoning is looked for at the start of a choice alone; a later tag is something the model writes about. White space before the
 * first tag and right after each is layout and left out. Stop texts end only what is shown as text: one that occurs in the reasoning ends nothing, since the
 * caller would get no answer at all.
 */
export interface OutputTextOptions {
  /** Empty ones never match. */
  stop: readonly string[]
  reasoning: ReasoningTags | null
}

export interface ReasoningTags {
  open: string
  close: string
  /** The prompt has opened the reasoning already. */
  opened: boolean
}

export interface OutputPiece {
  kind: 'text' | 'reasoning'
  text: string
}

export interface OutputText {
  /** What a delta makes certain; nothing once stopped. */
  push(delta: string): OutputPiece[]
  /** What was held back, where nothing follows. */
  end(): OutputPiece[]
  /** The stop text that has ended the choice. */
  readonly stopped: string | null
  /** The model is inside its reasoning tags. */
  readonly isReasoning: boolean
}

type Place = 'start' | 'reasoning' | 'text'

export function createOutputText({ stop, reasoning }: OutputTextOptions): OutputText {
  const stops = stop.filter((text) => text !== '')
  let place: Place = !reasoning ? 'text' : reasoning.opened ? 'reasoning' : 'start'
  /** White space is dropped until something else comes. */
  let trims = reasoning?.opened ?? false
  let held = ''
  let stopped: string | null = null

  const marksOf: Record<Place, readonly string[]> = {
    start: reasoning ? [...stops, reasoning.open] : stops,
    reasoning: reasoning ? [reasoning.close] : [],
    text: stops,
  }

  function show(text: string, pieces: OutputPiece[]): void {
    if (text !== '') pieces.push({ kind: place === 'reasoning' ? 'reasoning' : 'text', text })
  }

  function advance(isEnd: boolean): OutputPiece[] {
    const pieces: OutputPiece[] = []
    for (;;) {
      if (trims) {
        held = held.trimStart()
        trims = held === ''
      }
      const match = firstMatch(held, marksOf[place])
      // The first character that is neither space nor the tag's shows that there will be no reasoning.
      const plain = place === 'start' ? whereTextStarts(held, reasoning!.open) : -1
      if (plain >= 0 && (match === null || plain < match.end - match.mark.length)) {
        place = 'text'
        continue
      }
      if (match === null) break
      const before = held.slice(0, match.end - match.mark.length)
      held = held.slice(match.end)
      if (stops.includes(match.mark) && place !== 'reasoning') {
        show(before, pieces)
        stopped = match.mark
        held = ''
        return pieces
      }
      if (place === 'reasoning') show(before, pieces)
      place = place === 'start' ? 'reasoning' : 'text'
      trims = true
    }
    const kept = isEnd ? 0 : place === 'start' ? held.length : possibleStart(held, marksOf[place])
    show(held.slice(0, held.length - kept), pieces)
    held = held.slice(held.length - kept)
    return pieces
  }

  return {
    push(delta) {
      if (stopped !== null || delta === '') return []
      held += delta
      return advance(false)
    },
    end: () => (stopped === null ? advance(true) : []),
    get stopped() {
      return stopped
    },
    get isReasoning() {
      return place === 'reasoning'
    },
  }
}

/** The mark that ends first, and of those that end together the longest. */
function firstMatch(text: string, marks: readonly string[]): { mark: string; end: number } | null {
  let first: { mark: string; end: number } | null = null
  for (const mark of marks) {
    const at = text.indexOf(mark)
    if (at < 0) continue
    const end = at + mark.length
    if (first === null || end < first.end || (end === first.end && mark.length > first.mark.length))
      first = { mark, end }
  }
  return first
}

/** Where text starts that can no longer become white space and the tag; -1 while it can. */
function whereTextStarts(text: string, tag: string): number {
  const at = text.length - text.trimStart().length
  const rest = text.slice(at, at + tag.length)
  return tag.startsWith(rest) ? -1 : at
}

/** Length of the longest end of the text that begins a mark. */
function possibleStart(text: string, marks: readonly string[]): number {
  let longest = 0
  for (const mark of marks)
    for (let length = Math.min(mark.length - 1, text.length); length > longest; length--)
      if (text.endsWith(mark.slice(0, length))) longest = length
  return longest
}
