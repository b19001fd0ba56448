import { describe, expect, it } from 'vitest'
import { tensorOf } from '#contracts/tensor.ts'
import { CallTooLong } from '#src/engine/ort/call-limit.ts'
import { OrtTrapped } from '#src/engine/ort/error.ts'
import { loadGraph } from '#src/engine/ort/load-graph.ts'
import { countingLoop } from '../support/hostile-models.ts'
import { bootNodeOrt } from '../support/node-ort.ts'
import { memoryReader } from '../support/shared-models.ts'

const trip = (count: bigint) => ({ trip: tensorOf('int64', [], BigInt64Array.of(count)) })

describe('the limit on one call into the engine', () => {
  it('ends a loop that would take for ever, and the engine with it', async () => {
    const ort = await bootNodeOrt()
    const session = await loadGraph(ort, memoryReader({ 'loop.onnx': countingLoop() }), 'loop.onnx')
    ort.callLimit.limitMs = 200
    expect(session.run(trip(100n)).y).toEqual(tensorOf('float32', [], Float32Array.of(101)))

    const startedMs = performance.now()
    const run = () => session.run(trip(2n ** 62n))
    expect(run).toThrow(OrtTrapped)
    expect(performance.now() - startedMs).toBeLessThan(5_000)
    expect(ort.trapped?.cause).toBeInstanceOf(CallTooLong)
    expect(run).toThrow('it took longer than 0.2 s, the most that the graph may work at a stretch')
  })

  it('counts each call anew', async () => {
    const ort = await bootNodeOrt()
    const session = await loadGraph(ort, memoryReader({ 'loop.onnx': countingLoop() }), 'loop.onnx')
    ort.callLimit.limitMs = 500
    const endMs = performance.now() + 600
    while (performance.now() < endMs) session.run(trip(100n))
    expect(ort.trapped).toBeUndefined()
  })
})
