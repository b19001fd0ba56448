/** The emscripten factory of the plain wasm build; `src/engine/ort` knows its private exports. */
declare module 'onnxruntime-web/ort-wasm-simd-threaded.mjs' {
  const factory: import('#src/engine/ort/private-exports.ts').OrtFactory
  export default factory
}
