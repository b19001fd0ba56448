/**
 * Registering a model whose bytes are already in the cache: choose the graph, load it in a throw-away isolate to read its
 * inputs and outputs, decide the task, run an example, and only then register. Nothing is registered that did not answer.
 */
import * as z from 'zod'
import type { EndpointSpec } from '#contracts/bundle.ts'
import { badRequest, isServingError } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { manifestSchema } from '#contracts/manifest.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import type { Task } from '#contracts/task.ts'
import { taskSignature } from '#contracts/task-signatures.ts'
import { elementCount } from '#contracts/tensor.ts'
import { chooseGraph } from '#src/compiler/choose-graph.ts'
import { exampleBody, exampleTensors } from '#src/compiler/input-example.ts'
import { planTask } from '#src/compiler/plan-task.ts'
import { answerExample } from '#src/gateway/answer-example.ts'
import { isRecord } from '#src/gateway/enforce-schema.ts'
import { tensorToJson } from '#src/gateway/json-tensor.ts'
import { parseJson } from '#src/gateway/read-body.ts'
import type { Call } from './call.ts'

/** Examples beyond these are not kept as JSON; the model is still run on them. */
const mostExampleElements = 4_096
const mostExampleCharacters = 256 * 1024
/** Options travel with every request to the host. */
const mostOptionCharacters = 8 * 1024

export const importSchema = z.object({
  name: z.string().min(1).max(limits.modelNameLength),
  version: z.union([z.string(), z.number().int().transform(String)]).optional(),
  manifest: manifestSchema,
  task: z.string().optional(),
  dtype: z.string().optional(),
  file: z.string().optional(),
  /** Fetches what has an origin now instead of on first use. */
  prefetch: z.boolean().optional(),
  /** Task options, such as an embedder's pooling. */
  options: z
    .record(z.string(), z.unknown())
    .refine(
      (options) => JSON.stringify(options).length <= mostOptionCharacters,
      `expected at most ${mostOptionCharacters} characters of JSON`,
    )
    .optional(),
  input_example: z.unknown().optional(),
  source: z.string().max(4_096).optional(),
  comment: z.string().max(4_096).optional(),
})

export type ImportBody = z.infer<typeof importSchema>

/** @throws {ServingError} 400 with the reason where the model cannot be served. */
export async function importModel(body: ImportBody, { services, principal, requestId }: Call): Promise<ModelVersion> {
  const { host, registry } = services
  const manifest = await host.putManifest(body.manifest)
  const paths = body.manifest.artifacts.map((artifact) => artifact.path)
  const graph = chooseGraph(paths, body)
  const options = body.options ?? {}
  const specFor = (task: Task): EndpointSpec => ({
    manifest,
    task,
    graph,
    options,
    owner: `import/${requestId}`,
    idleMs: 60_000,
  })
  const readJson = async (path: string) =>
    paths.includes(path) ? jsonArtifact(await host.artifact(manifest, path), path) : undefined

  const register = (facts: Pick<ModelVersion, 'task' | 'signature' | 'inputExample' | 'heapBytes' | 'capabilities'>) =>
    registry.registerVersion({
      ...facts,
      name: body.name,
      ...(body.version === undefined ? {} : { version: body.version }),
      manifest,
      graph,
      options,
      sizeBytes: body.manifest.artifacts.reduce((total, artifact) => total + artifact.sizeBytes, 0),
      source: body.source ?? '',
      comment: body.comment ?? '',
      creator: principal.name,
    })

  const parsed = await readJson('config.json')
  const config = isRecord(parsed) ? parsed : {}
  const given = body.input_example ?? (await readJson('input_example.json'))

  const isRemote = body.manifest.artifacts.some((artifact) => artifact.path === graph && !artifact.shards)
  if (isRemote && !body.prefetch) {
    const task = planTask({ paths, config }, body.task)
    // A bare graph tells what it takes only once it is loaded, so a tensor entity is fetched all the same.
    if (task !== 'tensor') {
      const dimensions = Number.isInteger(config.hidden_size) ? Number(config.hidden_size) : undefined
      const signature = taskSignature(task, dimensions)
      return register({ task, signature, inputExample: given ?? exampleBody(task), heapBytes: 0 })
    }
  }

  const used: EndpointSpec[] = []
  const described = async (spec: EndpointSpec) => {
    used.push(spec)
    return host.describe(spec)
  }
  try {
    // Who names the task spares a look at the bare graph.
    const graphSignature = body.task === undefined ? (await described(specFor('tensor'))).signature : undefined
    const task = planTask({ paths, config, ...(graphSignature ? { graph: graphSignature } : {}) }, body.task)
    const spec = specFor(task)
    const { signature } = await described(spec)
    const inputExample = await answeredExample(given ?? exampleBody(task), { host, spec, version: { task, signature } })
    const { heapBytes } = await host.describe(spec)
    const capabilities = await host.measure(spec)
    return await register({ task, signature, inputExample, heapBytes, capabilities })
  } finally {
    await Promise.allSettled(used.map((spec) => host.douse(spec)))
  }
}

type ExampleOptions = Parameters<typeof answerExample>[1]

/** Runs the example, or for a bare graph the first generated input that it takes; resolves to what is kept as the example. */
async function answeredExample(body: unknown, options: ExampleOptions): Promise<unknown> {
  if (body !== null && body !== undefined) {
    try {
      await answerExample(body, options)
    } catch (error) {
      throw badRequest(`The model did not answer its input example: ${messageOf(error)}`, 'input_example')
    }
    return JSON.stringify(body).length > mostExampleCharacters ? null : body
  }
  let refusal: unknown
  const { host, spec, version } = options
  for (const inputs of exampleTensors(version.signature)) {
    try {
      await host.run(spec, { inputs, params: {} })
      const elements = Object.values(inputs).reduce((total, tensor) => total + elementCount(tensor.shape), 0)
      if (elements > mostExampleElements) return null
      return {
        inputs: Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, tensorToJson(tensor)])),
      }
    } catch (error) {
      if (!isServingError(error) || error.status >= 500) throw error
      refusal ??= error
    }
  }
  throw badRequest(
    `The model loads but answered none of the generated inputs (${messageOf(refusal)}). Give an input that it answers: --example FILE, or input_example in the request.`,
    'input_example',
  )
}

function jsonArtifact(bytes: Uint8Array | null, path: string): unknown {
  if (!bytes) return undefined
  try {
    return parseJson(bytes)
  } catch (error) {
    throw badRequest(`${path} of the model cannot be read: ${messageOf(error)}`, path)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
