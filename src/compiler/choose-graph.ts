/** Which graph of a model folder is served, by the naming of the Hugging Face hub and transformers.js. */
import { badRequest } from '#contracts/errors.ts'

const suffixes = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const

export type GraphDtype = keyof typeof suffixes

export function isGraphDtype(value: string): value is GraphDtype {
  return Object.hasOwn(suffixes, value)
}

export interface GraphChoice {
  /** An exact path among the files. */
  file?: string | undefined
  dtype?: string | undefined
  /** Taken where there is a graph of it and nothing else was asked for. */
  preferredDtype?: GraphDtype | undefined
}

/**
 * The path of the graph: `file` if given, else `onnx/model.onnx` (or the dtype's name), then `model.onnx`, then the only
 * `.onnx` there is.
 *
 * @throws {ServingError} 400 that lists the graphs there are.
 */
export function chooseGraph(paths: readonly string[], { file, dtype, preferredDtype }: GraphChoice): string {
  const graphs = paths.filter((path) => path.endsWith('.onnx') || path.endsWith('.ort'))
  const there = graphs.length === 0 ? 'there is no .onnx file at all' : `there is ${graphs.join(', ')}`

  if (file !== undefined) {
    if (paths.includes(file)) return file
    throw badRequest(`file: "${file}" is not among the model's files; ${there}.`, 'file')
  }
  if (dtype !== undefined && !isGraphDtype(dtype)) {
    throw badRequest(`dtype: "${dtype}" is not one of ${Object.keys(suffixes).join(', ')}.`, 'dtype')
  }

  const name = nameOf(dtype ?? 'fp32')
  const names = dtype === undefined && preferredDtype !== undefined ? [nameOf(preferredDtype), name] : [name]
  const byName = names.flatMap((each) => [`onnx/${each}`, each]).find((path) => graphs.includes(path))
  if (byName) return byName
  if (dtype !== undefined) throw badRequest(`dtype: no graph is named for ${dtype} (onnx/${name}); ${there}.`, 'dtype')
  if (graphs.length === 1) return graphs[0]!
  throw badRequest(
    `The model has no onnx/model.onnx and no single graph; ${there}. Name one with file or dtype.`,
    'file',
  )
}

/** Whether there is a graph by the dtype's name. */
export function hasGraph(paths: readonly string[], dtype: GraphDtype): boolean {
  return paths.includes(`onnx/${nameOf(dtype)}`) || paths.includes(nameOf(dtype))
}

function nameOf(dtype: GraphDtype): string {
  return `model${suffixes[dtype]}.onnx`
}

/** Files that belong beside a graph: what tokenizers, processors and tasks read, and the graph's external data. */
export function companionsOf(graph: string, paths: readonly string[]): string[] {
  return paths.filter((path) => path !== graph && (companions.has(path) || isExternalData(path, graph)))
}

const companions = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'preprocessor_config.json',
  'labels.json',
  'modules.json',
  '1_Pooling/config.json',
  'config_sentence_transformers.json',
  'input_example.json',
])

/** Weights that the graph keeps outside of itself. */
export function isExternalData(path: string, graph: string): boolean {
  return path.startsWith(`${graph}_data`) || path.startsWith(`${graph}.data`)
}
