/**
 * What ONNX Runtime finds in its process's environment. A wasm module asks its host for that, once, while it starts; the factory
 * gives a fixed list and no way to add to it, so the two functions that are asked are wrapped.
 *
 * `ORT_GQA_DISABLE_FLASH_ATTENTION`: attention over several new tokens is cut into tiles of the size of the processor's second
 * cache. Wasm cannot ask for that size, and ORT 1.30 then takes tiles of 1 × 1: reading 64 tokens behind 256 took four times as
 * long as with the ordinary kernel, behind 512 six times. Single steps lose 6 % at 256 tokens and 14 % at 1,024 for it. To be
 * looked at again with each version of ORT.
 */
import { environmentImports, ortVersion } from './private-exports.ts'

const variables = ['ORT_GQA_DISABLE_FLASH_ATTENTION=1']

type Asked = (at: number, at2: number) => number

/** Adds our variables to those that the factory gives. @throws {Error} where the build does not ask as the driver expects. */
export function addEnvironment(imports: WebAssembly.Imports, memory: WebAssembly.Memory): void {
  const { group, sizes, strings } = environmentImports
  const functions = imports[group] ?? {}
  const [askSizes, askStrings] = [functions[sizes], functions[strings]]
  if (typeof askSizes !== 'function' || typeof askStrings !== 'function') throw notAsked()
  const added = variables.map((variable) => new TextEncoder().encode(`${variable}\0`))
  const given = { count: 0, sizeBytes: 0 }
  const words = () => new DataView(memory.buffer)

  functions[sizes] = (countAt: number, sizeAt: number): number => {
    const status = (askSizes as Asked)(countAt, sizeAt)
    given.count = words().getUint32(countAt >>> 0, true)
    given.sizeBytes = words().getUint32(sizeAt >>> 0, true)
    const addedBytes = added.reduce((sum, { byteLength }) => sum + byteLength, 0)
    words().setUint32(countAt >>> 0, given.count + added.length, true)
    words().setUint32(sizeAt >>> 0, given.sizeBytes + addedBytes, true)
    return status
  }
  // Fills the list of pointers and the block behind it that were made for those sizes.
  functions[strings] = (pointersAt: number, blockAt: number): number => {
    if (given.count === 0) throw notAsked()
    const status = (askStrings as Asked)(pointersAt, blockAt)
    let at = (blockAt >>> 0) + given.sizeBytes
    for (const [index, text] of added.entries()) {
      words().setUint32((pointersAt >>> 0) + 4 * (given.count + index), at, true)
      new Uint8Array(memory.buffer).set(text, at)
      at += text.byteLength
    }
    return status
  }
}

function notAsked(): Error {
  return new Error(
    `The driver needs onnxruntime-web ${ortVersion}; this build asks for its environment in another way.`,
  )
}
