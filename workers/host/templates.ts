/** The endpoint modules, prebuilt per task, as text; and the wasm that isolates share instead of compiling their own. */
import type { TaskTemplates } from '#src/compiler/compile.ts'
import featureExtraction from './endpoint-feature-extraction.js.txt'
import imageClassification from './endpoint-image-classification.js.txt'
import tensor from './endpoint-tensor.js.txt'
import textClassification from './endpoint-text-classification.js.txt'
import jpegWasm from './jpeg.wasm'
import ortWasm from './ort.wasm'

export const templates: TaskTemplates = {
  tensor: { source: tensor, wasm: ['ort.wasm'] },
  'text-classification': { source: textClassification, wasm: ['ort.wasm'] },
  'feature-extraction': { source: featureExtraction, wasm: ['ort.wasm'] },
  'image-classification': { source: imageClassification, wasm: ['ort.wasm', 'jpeg.wasm'] },
}

export const wasmModules: Readonly<Record<string, WebAssembly.Module>> = { 'ort.wasm': ortWasm, 'jpeg.wasm': jpegWasm }
