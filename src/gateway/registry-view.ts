/**
 * The registry as one dispatcher isolate sees it: an indexed snapshot, immutable once made.
 *
 * While the snapshot is under `limits.snapshotAgeMs` old, a request does no I/O. An older one costs one version check before
 * the answer, so a revoked token or a deleted endpoint is never honoured later than that. All requests that find the
 * snapshot old share one check.
 */
import { limits } from '#contracts/limits.ts'
import type { Endpoint, ModelVersion, RegistrySnapshot, TokenRecord } from '#contracts/registry.ts'
import { indexTokens, type TokenIndex } from './authenticate.ts'

export interface RegistryView {
  readonly revision: number
  readonly tokens: TokenIndex
  readonly endpoints: ReadonlyMap<string, Endpoint>
  readonly starters: readonly string[] | null
  /** Keyed `name/version`. */
  readonly versions: Readonly<Record<string, ModelVersion>>
}

export interface RegistryViewSource {
  /** Resolves to a view that was current at most `limits.snapshotAgeMs` ago. */
  current(): RegistryView | Promise<RegistryView>
  /** Makes the next call check, after a change that this isolate made itself. */
  expire(): void
}

export interface RegistryViewOptions {
  /** Resolves to a snapshot newer than `revision`, or null. */
  newerThan(revision: number): Promise<RegistrySnapshot | null>
  /** Tokens that are not in the registry. */
  fixedTokens: readonly TokenRecord[]
  now(): number
}

export function registryViewSource({ newerThan, fixedTokens, now }: RegistryViewOptions): RegistryViewSource {
  let view: RegistryView | undefined
  let checkedMs = Number.NEGATIVE_INFINITY
  let checking: Promise<RegistryView> | undefined
  let changes = 0

  async function check(): Promise<RegistryView> {
    const startedMs = now()
    const changesBefore = changes
    try {
      const snapshot = await newerThan(view?.revision ?? -1)
      // A slow check may end after a later one, whose snapshot is then the newer.
      if (snapshot && snapshot.revision > (view?.revision ?? -1)) view = indexSnapshot(snapshot, fixedTokens)
      // A change made while the check ran may have been missed by it.
      if (changes === changesBefore) checkedMs = startedMs
      return view!
    } finally {
      checking = undefined
    }
  }

  return {
    current() {
      if (view && now() - checkedMs < limits.snapshotAgeMs) return view
      checking ??= check()
      return checking
    },
    expire() {
      changes += 1
      checkedMs = Number.NEGATIVE_INFINITY
      checking = undefined
    },
  }
}

function indexSnapshot(snapshot: RegistrySnapshot, fixedTokens: readonly TokenRecord[]): RegistryView {
  return {
    revision: snapshot.revision,
    tokens: indexTokens([...fixedTokens, ...snapshot.tokens]),
    endpoints: new Map(snapshot.endpoints.map((endpoint) => [endpoint.name, endpoint])),
    starters: snapshot.starters,
    versions: snapshot.versions,
  }
}
