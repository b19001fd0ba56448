/**
 * What the host knows of its replicas without waking them: an object may be evicted at any time, and asking a cold one would keep
 * the memory of its doused isolate.
 */
import type { ReplicaState } from '#contracts/host.ts'
import type { Digest } from '#contracts/manifest.ts'

export interface Activity {
  state: ReplicaState['state']
  inFlight: number
  lastUsedMs: number
  /** Smoothed time from a request's arrival to its answer: when those that wait now are done. */
  requestMs: number
  /** Counts isolates, so that of all requests that see one end only the first replaces it. */
  isolate: number
  /** Resolves once the isolate before this one is gone. */
  gone: Promise<void>
  /** What it serves, once it was mounted. */
  manifest: Digest | null
  /** As the newest request had it: the setting may change while the isolate lives. Null keeps it warm. */
  idleMs: number | null | undefined
  /** Of its engine, as the newest reply told; null before the first. */
  memory: ReplicaState['memory']
  /** A new configuration has replaced it, so that it goes although it is kept warm. */
  retired: boolean
}

/** By bundle id. Survives the eviction of the object but not the isolate of the host, as the endpoint isolates themselves. */
const activity = new Map<string, Activity>()

/** The versions that are in memory now; the cache keeps their shards. */
export function mountedManifests(): Digest[] {
  return [...activity.values()].flatMap(({ state, manifest }) => (state !== 'cold' && manifest ? [manifest] : []))
}

/** When a replica last had a request; now while one is in flight. */
export function lastBusyMs(): number {
  return Math.max(
    0,
    ...[...activity.values()].map(({ inFlight, lastUsedMs }) => (inFlight > 0 ? Date.now() : lastUsedMs)),
  )
}

export function replicaState(id: string): ReplicaState {
  const { state, inFlight, memory } = activityOf(id)
  return { state, inFlight, memory: state === 'warm' ? memory : null }
}

/** The entry of a bundle, made on first sight. */
export function activityOf(id: string): Activity {
  let entry = activity.get(id)
  if (!entry) {
    entry = {
      state: 'cold',
      inFlight: 0,
      lastUsedMs: 0,
      requestMs: 0,
      isolate: 0,
      gone: Promise.resolve(),
      manifest: null,
      memory: null,
      idleMs: undefined,
      retired: false,
    }
    activity.set(id, entry)
  }
  return entry
}
