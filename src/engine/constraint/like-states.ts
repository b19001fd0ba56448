/**
 * Groups states that no single token can tell apart, so that they share one walk of the vocabulary. Of a string of at most a
 * thousand characters, all positions that are further from the end than the longest token is long are alike.
 *
 * Two states are alike to a depth of n bytes if they are alike themselves and their successors are alike to a depth of n - 1: Moore's
 * partition refinement, stopped after as many rounds as the longest token has bytes. A round looks only at states whose successors
 * were told apart in the round before, so a long chain costs a few states each round and not a pass over all.
 */
import type { Automaton, LinkedRule } from './automaton.ts'

/** Rules with fewer states are not worth grouping: each state may have its own walk. */
const fewStates = 128

/** For each state a number that it shares with the states alike to this depth. */
export function likeStates(automaton: Automaton, fewest: Int32Array, depth: number): Int32Array {
  const groups = new Groups(automaton.stateCount)
  for (const rule of automaton.rules) {
    const states = Array.from({ length: rule.stateCount }, (_, index) => rule.base + index)
    if (rule.stateCount < fewStates) {
      for (const state of states) groups.add([state])
      continue
    }
    for (const alike of Map.groupBy(states, (state) => ownFacts(automaton, fewest, state)).values()) groups.add(alike)
    const sources = sourcesOf(rule)
    let changed: readonly number[] = states
    for (let round = 0; round < depth && changed.length > 0; round++) {
      const affected = new Set(changed.flatMap((state) => sources[state - rule.base]!))
      changed = groups.refine(affected, (state) => successorGroups(rule, state, groups.of))
    }
  }
  return groups.of
}

class Groups {
  readonly of: Int32Array
  readonly #members: Set<number>[] = []

  constructor(stateCount: number) {
    this.of = new Int32Array(stateCount)
  }

  add(states: readonly number[]): void {
    for (const state of states) {
      this.#members[this.of[state]!]?.delete(state)
      this.of[state] = this.#members.length
    }
    this.#members.push(new Set(states))
  }

  /** Takes the affected states out of their groups that differ from the rest of it; returns those that left. */
  refine(affected: ReadonlySet<number>, signatureOf: (state: number) => string): number[] {
    // All signatures are of the round before, so every group is split before any state moves.
    const leaving: number[][] = []
    for (const [group, states] of Map.groupBy(affected, (state) => this.of[state]!)) {
      const members = this.#members[group]!
      const alike = Map.groupBy(states, signatureOf)
      // Members that are not affected are still alike, so one of them speaks for all and they keep the group.
      const calm = states.length < members.size ? firstOutside(members, affected) : undefined
      alike.delete(calm === undefined ? largest(alike) : signatureOf(calm))
      leaving.push(...alike.values())
    }
    for (const states of leaving) this.add(states)
    return leaving.flat()
  }
}

function ownFacts(automaton: Automaton, fewest: Int32Array, state: number): string {
  // Where a call returns to is compared as it is: what follows there is the business of another walk.
  const calls = automaton.calls[state]!.map(({ start, target }) => `${start}>${target}`)
  return `${automaton.final[state]} ${fewest[state]} ${calls.join()}`
}

function successorGroups({ base, width, next }: LinkedRule, state: number, groupOf: Int32Array): string {
  const row = next.subarray((state - base) * width, (state - base + 1) * width)
  return row.map((target) => (target < 0 ? -1 : groupOf[target]!)).join()
}

/** By state of the rule, the states with an edge to it. */
function sourcesOf({ base, stateCount, width, next }: LinkedRule): number[][] {
  const sources = Array.from({ length: stateCount }, () => new Set<number>())
  for (const [edge, target] of next.entries())
    if (target >= 0) sources[target - base]!.add(base + Math.floor(edge / width))
  return sources.map((states) => [...states])
}

function firstOutside(members: ReadonlySet<number>, affected: ReadonlySet<number>): number {
  for (const member of members) if (!affected.has(member)) return member
  throw new RangeError('All members are affected.')
}

function largest(bySignature: ReadonlyMap<string, readonly number[]>): string {
  const [first, ...rest] = bySignature
  return rest.reduce((best, entry) => (entry[1].length > best[1].length ? entry : best), first!)[0]
}
