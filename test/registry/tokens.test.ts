import { describe, expect, it } from 'vitest'
import { ada, openRegistry, refusal } from './open-registry.ts'

const hash = 'a'.repeat(64)

describe('tokens', () => {
  it('come back as they were created, with an id and the time', () => {
    const { registry, clock } = openRegistry()
    const token = registry.createToken({ hash, principal: { ...ada, groups: ['x'] }, comment: 'ci', expiresMs: null })
    expect(token).toEqual({
      tokenId: '1'.padStart(32, '0'),
      hash,
      principal: { name: 'ada@example.com', kind: 'user', groups: ['x'] },
      comment: 'ci',
      createdMs: clock.nowMs,
      expiresMs: null,
    })
    expect(registry.listTokens()).toEqual([token])
    expect(registry.snapshot().tokens).toEqual([token])
  })

  it('leave the snapshot at the moment they expire and stay in the list', () => {
    const { registry, clock } = openRegistry()
    registry.createToken({ hash, principal: ada, comment: '', expiresMs: clock.nowMs + 10 })
    clock.nowMs += 9
    expect(registry.snapshot().tokens).toHaveLength(1)
    clock.nowMs += 1
    expect(registry.snapshot().tokens).toEqual([])
    expect(registry.listTokens()).toHaveLength(1)
  })

  it('are gone once revoked', () => {
    const { registry } = openRegistry()
    const { tokenId } = registry.createToken({ hash, principal: ada, comment: '', expiresMs: null })
    registry.revokeToken(tokenId)
    expect(registry.snapshot().tokens).toEqual([])
    expect(refusal(() => registry.revokeToken(tokenId))).toEqual({
      status: 404,
      code: 'RESOURCE_DOES_NOT_EXIST',
      message: `Token ${tokenId} does not exist.`,
    })
  })

  it('exist once per hash', () => {
    const { registry } = openRegistry()
    registry.createToken({ hash, principal: ada, comment: '', expiresMs: null })
    const again = () => registry.createToken({ hash, principal: ada, comment: '', expiresMs: null })
    expect(refusal(again)).toMatchObject({ status: 409, code: 'RESOURCE_ALREADY_EXISTS' })
  })
})
