/** The endpoint modules, prebuilt per task, as text; and the wasm that isolates share instead of compiling their own. */
import type { TaskTemplates } from '#src/compiler/compile.ts'
import featureExtraction from './endpoint-feature-extraction.js.txt'
import imageClassification from './endpoint-image-classification.js.txt'
import objectDetection from './endpoint-object-detection.js.txt'
import rerank from './endpoint-rerank.js.txt'
import tensor from './endpoint-tensor.js.txt'
import textClassification from './endpoint-text-classification.js.txt'
import textGeneration from './endpoint-text-generation.js.txt'
import tokenClassification from './endpoint-token-classification.js.txt'
import voiceActivity from './endpoint-voice-activity.js.txt'
import jpegWasm from './jpeg.wasm'
import ortWasm from './ort.wasm'
import ortDigest from './ort-digest.js.txt'

export const templates: TaskTemplates = {
  tensor: { source: tensor, wasm: ['ort.wasm'] },
  'text-classification': { source: textClassification, wasm: ['ort.wasm'] },
  'feature-extraction': { source: featureExtraction, wasm: ['ort.wasm'] },
  'image-classification': { source: imageClassification, wasm: ['ort.wasm', 'jpeg.wasm'] },
  'text-generation': { source: textGeneration, wasm: ['ort.wasm'] },
  'token-classification': { source: tokenClassification, wasm: ['ort.wasm'] },
  rerank: { source: rerank, wasm: ['ort.wasm'] },
  'object-detection': { source: objectDetection, wasm: ['ort.wasm', 'jpeg.wasm'] },
  'voice-activity': { source: voiceActivity, wasm: ['ort.wasm'] },
}

export const wasmModules: Readonly<Record<string, WebAssembly.Module>> = { 'ort.wasm': ortWasm, 'jpeg.wasm': jpegWasm }

/** Names the bytes that `ort.wasm` was compiled from, which a compiled module no longer tells. */
export const ortWasmDigest: string = ortDigest
