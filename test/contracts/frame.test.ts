import { describe, expect, it } from 'vitest'
import { decodeFrame, encodeFrame } from '#contracts/frame.ts'
import { tensorOf } from '#contracts/tensor.ts'

describe('frames', () => {
  const tensors = {
    x: tensorOf('float32', [3], Float32Array.of(1, Number.NaN, -0)),
    ids: tensorOf('int64', [1], BigInt64Array.of(2n ** 62n)),
    empty: tensorOf('uint8', [0], new Uint8Array()),
    'odd name:0/é': { dtype: 'string', shape: [2], strings: ['', 'ü\u0000'] },
    __proto__name: { dtype: 'binary', shape: [2], items: [Uint8Array.of(1), Uint8Array.of(2, 3, 4)] },
  } as const

  it('carry tensors of every kind and the value beside them', () => {
    const { tensors: read, rest } = decodeFrame(encodeFrame(tensors, { params: { top_k: 3 } }))
    expect(Object.keys(read)).toEqual(Object.keys(tensors))
    expect({ ...read }).toEqual(tensors)
    expect(rest).toEqual({ params: { top_k: 3 } })
  })

  it('keep a tensor named __proto__ apart from the prototype', () => {
    const named = Object.fromEntries([['__proto__', tensors.x]])
    expect(Object.keys(decodeFrame(encodeFrame(named, null)).tensors)).toEqual(['__proto__'])
  })

  it('that are cut anywhere are refused', () => {
    const frame = encodeFrame(tensors, null)
    for (let length = 0; length < frame.byteLength; length++) {
      expect(() => decodeFrame(frame.subarray(0, length)), `at ${length}`).toThrow()
    }
  })
})
