/** The emscripten factory of onnxruntime-web's plain wasm build ships without types. */
declare module 'onnxruntime-web/ort-wasm-simd-threaded.mjs' {
  const factory: import('./private-exports.ts').OrtFactory
  export default factory
}
