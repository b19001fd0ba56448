import { describe, expect, it } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { heapLimitOf, leastHeapBytes, requireRoom } from '#src/engine/memory-account.ts'

const mib = 2 ** 20
const ort = (graphBytes: number) => ({ graph: 'model.ort', graphBytes, externalBytes: 0 })

describe('room for a model', () => {
  it('is there for 75 MiB of weights in place under the default limit', () => {
    expect(() => requireRoom(ort(75 * mib), limits.isolateBytes)).not.toThrow()
  })

  it('is refused with what is needed, what there is and what to do', () => {
    expect(() => requireRoom(ort(120 * mib), limits.isolateBytes)).toThrow(
      'The model "model.ort" needs at least 143.0 MiB (weights 120.0 MiB); its isolate may use 128.0 MiB. Use smaller weights, or start the server with a higher GLIM_ISOLATE_MB.',
    )
    expect(() => requireRoom({ ...ort(0), graph: 'm.onnx', externalBytes: 60 * mib }, limits.isolateBytes)).toThrow(
      'needs at least 143.0 MiB (weights 60.0 MiB); its isolate may use 128.0 MiB. Use smaller weights or the .ort form',
    )
  })

  it('counts the weights once where they are used in place, and twice where the engine copies them', () => {
    expect(leastHeapBytes(ort(10 * mib))).toBe(25 * mib)
    expect(leastHeapBytes({ ...ort(10 * mib), graph: 'model.onnx' })).toBe(35 * mib)
  })

  it('leaves a part of the isolate to JavaScript', () => {
    expect(heapLimitOf(128 * mib)).toBe(120 * mib)
    expect(heapLimitOf(mib)).toBe(0)
  })
})
