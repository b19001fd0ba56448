import { describe, expect, it } from 'vitest'
import type { RegistrySnapshot } from '#contracts/registry.ts'
import { registryViewSource } from '#src/gateway/registry-view.ts'

function open() {
  const state = { nowMs: 0, revision: 1, checks: 0 }
  const source = registryViewSource({
    async newerThan(revision): Promise<RegistrySnapshot | null> {
      state.checks += 1
      if (revision === state.revision) return null
      return { revision: state.revision, tokens: [], endpoints: [], versions: {}, starters: null }
    },
    fixedTokens: [],
    now: () => state.nowMs,
  })
  return { state, source }
}

describe('the registry view', () => {
  it('does no I/O while it is under a second old', async () => {
    const { state, source } = open()
    await source.current()
    state.nowMs = 999
    expect(source.current()).not.toBeInstanceOf(Promise)
    expect(state.checks).toBe(1)
  })

  it('checks before it answers once it is a second old', async () => {
    const { state, source } = open()
    await source.current()
    state.nowMs = 1_000
    state.revision = 2
    expect((await source.current()).revision).toBe(2)
  })

  it('shares one check among all requests that find it old', async () => {
    const { state, source } = open()
    await Promise.all([source.current(), source.current(), source.current()])
    expect(state.checks).toBe(1)
  })

  it('counts its age from when the check began, not from when it came back', async () => {
    const { state, source } = open()
    const first = source.current()
    state.nowMs = 1_000
    await first
    await source.current()
    expect(state.checks).toBe(2)
  })

  it('checks at once after a change of its own', async () => {
    const { state, source } = open()
    await source.current()
    state.revision = 2
    source.expire()
    expect((await source.current()).revision).toBe(2)
  })

  it('does not count a check that a change overtook', async () => {
    const { state, source } = open()
    const overtaken = source.current()
    source.expire()
    await overtaken
    state.revision = 2
    expect((await source.current()).revision).toBe(2)
  })

  it('never goes back to the snapshot of a check that was slower than a later one', async () => {
    const answers: ((snapshot: RegistrySnapshot) => void)[] = []
    const source = registryViewSource({
      newerThan: () => new Promise((resolve) => answers.push(resolve)),
      fixedTokens: [],
      now: () => 0,
    })
    const snapshot = (revision: number) => ({ revision, tokens: [], endpoints: [], versions: {}, starters: null })
    const slow = source.current()
    source.expire()
    const later = source.current()
    answers[1]!(snapshot(2))
    await later
    answers[0]!(snapshot(1))
    await slow
    expect((await source.current()).revision).toBe(2)
  })
})
