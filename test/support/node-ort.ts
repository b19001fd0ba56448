/** Boots our engine in Node from the installed onnxruntime-web. The module is compiled once per test file. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import factory from 'onnxruntime-web/ort-wasm-simd-threaded.mjs'
import { bootOrt } from '#src/engine/ort/boot.ts'
import type { Ort } from '#src/engine/ort/instance.ts'

const require = createRequire(import.meta.url)
const wasmPath = require.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')
let compiled: Promise<WebAssembly.Module> | undefined

export function ortWasm(): Promise<WebAssembly.Module> {
  compiled ??= readFile(wasmPath).then((bytes) => WebAssembly.compile(bytes))
  return compiled
}

/** Resolves to a new instance with a heap of its own. */
export async function bootNodeOrt(): Promise<Ort> {
  return bootOrt(factory, await ortWasm())
}

/** The wasm of the JPEG decoder, compiled as the endpoint bundle would import it. */
export async function jpegWasm(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(require.resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm')))
}
