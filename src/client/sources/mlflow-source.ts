/** A folder that MLflow wrote: its `MLmodel` says which file is the graph, what goes in and out, and an example of it. */
import { parse as parseYaml } from 'yaml'
import * as z from 'zod'
import { exampleFromMlflow } from './mlflow-example.ts'
import type { MlflowSignature, OpenedSource, SourceFile } from './model-source.ts'
import { invalid, SourceError } from './source-error.ts'

const mostBytes = 4 * 1024 * 1024

const schemaText = z.string().nullish()
const mlmodelSchema = z.object({
  flavors: z.record(z.string(), z.unknown()),
  signature: z.object({ inputs: schemaText, outputs: schemaText, params: schemaText }).nullish(),
  saved_input_example_info: z
    .object({ artifact_path: z.string().nullish(), serving_input_path: z.string().nullish() })
    .nullish(),
})

/** @throws {SourceError} FLAVOR_MISSING that names the flavours there are. */
export async function openMlflow(
  files: readonly SourceFile[],
  mlmodel: SourceFile,
  label: string,
): Promise<OpenedSource> {
  const { flavors, signature, saved_input_example_info: example } = parseMlmodel(await textOf(mlmodel))
  const { success, data: onnx } = z.object({ data: z.string() }).safeParse(flavors.onnx)
  if (!success) {
    const there = Object.keys(flavors).join(', ') || 'none'
    throw new SourceError(
      'FLAVOR_MISSING',
      flavors.onnx === undefined
        ? `The MLflow model has no ONNX flavour; it has ${there}. Log it with mlflow.onnx.log_model.`
        : 'flavors.onnx of MLmodel does not name its graph (data).',
    )
  }
  if (!files.some(({ path }) => path === onnx.data))
    throw invalid(`flavors.onnx.data of MLmodel names "${onnx.data}", and the folder has no such file.`)
  const inputExample = await readExample(files, [
    example?.serving_input_path ?? 'serving_input_example.json',
    example?.artifact_path ?? 'input_example.json',
  ])
  return {
    files,
    label,
    graph: onnx.data,
    mlflow: parseSignature(signature ?? {}),
    ...(inputExample === undefined ? {} : { inputExample }),
  }
}

function parseMlmodel(text: string): z.infer<typeof mlmodelSchema> {
  let value: unknown
  try {
    value = parseYaml(text)
  } catch (error) {
    throw invalid(`MLmodel is not YAML: ${(error as Error).message}`)
  }
  const result = mlmodelSchema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw invalid(`MLmodel cannot be understood: ${issue?.path.join('.')}: ${issue?.message}`)
}

function parseSignature(texts: Readonly<Record<string, string | null | undefined>>): MlflowSignature {
  const parts = Object.entries(texts).map(([part, text]) => [
    part,
    text ? parseJson(text, `signature.${part} of MLmodel`) : undefined,
  ])
  return Object.fromEntries(parts)
}

/** The first of the files that is there, as a native invocation body. */
async function readExample(files: readonly SourceFile[], paths: readonly string[]): Promise<unknown> {
  const file = paths.map((path) => files.find((candidate) => candidate.path === path)).find((found) => found)
  return file ? exampleFromMlflow(parseJson(await textOf(file), file.path)) : undefined
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(`${name} is not JSON: ${(error as Error).message}`)
  }
}

async function textOf({ path, sizeBytes, read }: SourceFile): Promise<string> {
  if (sizeBytes > mostBytes) throw invalid(`${path} has ${sizeBytes} bytes; at most ${mostBytes} are read.`)
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of read()) text += decoder.decode(chunk, { stream: true })
  return text + decoder.decode()
}
