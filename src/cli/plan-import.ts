/**
 * Which of a source's files an import sends: the graph that is chosen and what belongs beside it. A model of the hub holds the
 * same weights in a dozen precisions; only one of them goes over the wire.
 */
import type { Digest } from '#contracts/manifest.ts'
import { graphFacts } from '#src/client/sources/graph-facts.ts'
import type { MlflowSignature, OpenedSource, SourceFile } from '#src/client/sources/model-source.ts'
import { digestMismatch, invalid } from '#src/client/sources/source-error.ts'
import type { UploadFile } from '#src/client/upload-model.ts'
import { chooseGraph, companionsOf, type GraphChoice, hasGraph, isExternalData } from '#src/compiler/choose-graph.ts'
import { checkAgainstGraph } from '#src/compiler/mlflow-signature.ts'
import { usage } from './failure.ts'

export interface ImportChoice extends GraphChoice {
  /** What the graph's bytes must be. */
  digest?: Digest | undefined
  /** Leave the weights to the server, which fetches them on first use. */
  lazy?: boolean
  /** Whether a graph that is not of the wanted precision can be brought to it here. */
  canQuantize?: boolean
  /** Starts from the graph in full precision whatever the source prefers. */
  fromFloat?: boolean
}

export interface ImportPlan {
  /** The graph's path within the model. */
  graph: string
  files: readonly UploadFile[]
  /** q8 was asked for and there is none, so this is the graph to quantise. */
  wantsInt8: boolean
}

/** @throws {Failure | ServingError | SourceError} where there is no single graph, or it is not the one that was asked for. */
export async function planImport(source: OpenedSource, choice: ImportChoice = {}): Promise<ImportPlan> {
  const { files, mlflow } = source
  const paths = files.map(({ path }) => path)
  const isMissing = choice.dtype === 'q8' && choice.file === undefined && !hasGraph(paths, 'q8')
  if (isMissing && choice.lazy && hasGraph(paths, 'fp32'))
    throw usage('There is no q8 graph at the source. Add --upload to have the fp32 one downloaded and quantised here.')
  const wantsInt8 = isMissing && choice.canQuantize === true
  const dtype = wantsInt8 ? undefined : choice.dtype
  const graph = chooseGraph(paths, {
    dtype,
    file: choice.file ?? (dtype === undefined ? source.graph : undefined),
    preferredDtype: wantsInt8 || choice.fromFloat ? undefined : source.preferredDtype,
  })
  const wanted = new Set([graph, ...companionsOf(graph, paths)])
  const chosen = files.filter(({ path }) => wanted.has(path))
  if (mlflow) await checkMlflow(chosen.find(({ path }) => path === graph)!, mlflow)
  return {
    graph,
    wantsInt8,
    files: chosen.map((file) => {
      const known = file.path === graph ? withDigest(file, choice.digest) : file
      return choice.lazy && (file.path === graph || isExternalData(file.path, graph)) ? lazily(known) : known
    }),
  }
}

/** MLflow describes the graph beside it, and what it says is checked before a byte is sent. */
async function checkMlflow(graph: SourceFile, signature: MlflowSignature): Promise<void> {
  const facts = await graphFacts(graph)
  if (!facts) return
  checkAgainstGraph(signature, facts.inputs)
  const name = graph.path.slice(graph.path.lastIndexOf('/') + 1)
  const unknown = facts.weightFiles.find((file) => !isExternalData(file, name))
  if (unknown !== undefined)
    throw invalid(
      `${graph.path} keeps weights in "${unknown}", and only files named ${name}.data or ${name}_data are found. Save it with mlflow.onnx.log_model(…, save_as_external_data=False).`,
    )
}

function withDigest(file: SourceFile, expected: Digest | undefined): SourceFile {
  if (expected === undefined) return file
  if (file.digest !== undefined && file.digest !== expected) throw digestMismatch(file.path, expected, file.digest)
  return { ...file, digest: expected }
}

function lazily(file: SourceFile): UploadFile {
  if (file.origin) return { ...file, isLazy: true }
  throw usage('--prefetch is for hf: sources: a server fetches from its hub, and from nowhere else.')
}
