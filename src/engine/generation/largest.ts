/**
 * The upper part of a list of numbers without sorting it. A vocabulary has 50,000 tokens and more, and a sort of all of them for
 * every token of every text would take longer than many a model's own step.
 */

/** What belongs to the upper part: all above `threshold`, and the first `ties` that equal it. */
export interface Cut {
  threshold: number
  ties: number
}

/**
 * Finds the fewest largest values whose weights sum to `target` at least, by three-way quickselect: about three passes over the
 * values, equal values or not. `values` is reordered; with `byCount`, each value weighs 1, else it weighs itself.
 *
 * The pivot is the median of three; that is good enough for logits, which come in no particular order.
 */
export function cutOf(values: Float64Array, count: number, target: number, byCount: boolean): Cut {
  let [low, high, missing] = [0, count - 1, target]
  for (;;) {
    const pivot = median(values[low]!, values[(low + high) >> 1]!, values[high]!)
    // Larger values before `above`, equal ones up to `at`, smaller ones after `below`.
    let [above, at, below, weightAbove] = [low, low, high, 0]
    while (at <= below) {
      const value = values[at]!
      if (value > pivot) {
        values[at++] = values[above]!
        values[above++] = value
        weightAbove += byCount ? 1 : value
      } else if (value < pivot) {
        values[at] = values[below]!
        values[below--] = value
      } else at++
    }
    const equal = below - above + 1
    const each = byCount ? 1 : pivot
    if (above > low && weightAbove >= missing) high = above - 1
    else if (below === high || weightAbove + equal * each >= missing) {
      const ties = each > 0 ? Math.ceil((missing - weightAbove) / each) : equal
      return { threshold: pivot, ties: Math.min(Math.max(ties, 1), equal) }
    } else {
      missing -= weightAbove + equal * each
      low = below + 1
    }
  }
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
}

/** The places of the `count` largest values, largest first, the lower place first among equals. For small counts. */
export function largestPlaces(values: Float32Array, count: number): number[] {
  const places: number[] = []
  let least = -Infinity
  for (let place = 0; place < values.length; place++) {
    const value = values[place]!
    // NaN compares with nothing and is left out.
    if (!(places.length < count ? value >= -Infinity : value > least)) continue
    let at = places.length < count ? places.length : count - 1
    for (; at > 0 && values[places[at - 1]!]! < value; at--) places[at] = places[at - 1]!
    places[at] = place
    if (places.length === count) least = values[places[count - 1]!]!
  }
  return places
}
