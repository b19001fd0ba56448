import { describe, expect, it } from 'vitest'
import { addEnvironment } from '#src/engine/ort/environment.ts'
import { environmentImports } from '#src/engine/ort/private-exports.ts'
import { bootNodeOrt } from '../support/node-ort.ts'

const { group, sizes, strings } = environmentImports
const variable = 'ORT_GQA_DISABLE_FLASH_ATTENTION=1'

describe('the environment of an engine', () => {
  it('holds our variables once it has started', async () => {
    const ort = await bootNodeOrt()
    const text = new TextDecoder('latin1').decode(ort.view(0, ort.heapBytes).slice())
    expect(text).toContain(`${variable}\0`)
  })

  it('has ours after those of the factory, in the memory that was made for both', () => {
    const memory = new WebAssembly.Memory({ initial: 1 })
    const words = new DataView(memory.buffer)
    const given = 'USER=web_user\0'
    const imports: WebAssembly.Imports = {
      [group]: {
        [sizes](countAt: number, sizeAt: number) {
          words.setUint32(countAt, 1, true)
          words.setUint32(sizeAt, given.length, true)
          return 0
        },
        [strings](pointersAt: number, blockAt: number) {
          words.setUint32(pointersAt, blockAt, true)
          new Uint8Array(memory.buffer).set(new TextEncoder().encode(given), blockAt)
          return 0
        },
      },
    }
    addEnvironment(imports, memory)
    const ask = imports[group] as Record<string, (at: number, at2: number) => number>
    expect(ask[sizes]!(8, 12)).toBe(0)
    const [count, sizeBytes] = [words.getUint32(8, true), words.getUint32(12, true)]
    expect([count, sizeBytes]).toEqual([2, given.length + variable.length + 1])
    expect(ask[strings]!(16, 64)).toBe(0)
    expect([words.getUint32(16, true), words.getUint32(20, true)]).toEqual([64, 64 + given.length])
    const block = new TextDecoder().decode(new Uint8Array(memory.buffer, 64, sizeBytes))
    expect(block).toBe(`${given}${variable}\0`)
  })

  it('is refused by a build that asks for it in another way', () => {
    const memory = new WebAssembly.Memory({ initial: 1 })
    expect(() => addEnvironment({}, memory)).toThrow(/asks for its environment in another way/)
    expect(() => addEnvironment({ [group]: { [sizes]: memory } }, memory)).toThrow(/onnxruntime-web 1\.30\.0/)
  })
})
