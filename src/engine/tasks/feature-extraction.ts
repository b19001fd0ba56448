/** One vector per text: the graph's own, or its token vectors pooled as the model's files say; unit length by default. */
import { invalidParameter, modelFailed } from '#contracts/errors.ts'
import { limits } from '#contracts/limits.ts'
import { taskSignature } from '#contracts/task-signatures.ts'
import { tensorOf } from '#contracts/tensor.ts'
import { measureText } from '../measure-text.ts'
import { readModelConfig } from '../model-config.ts'
import type { Port } from '../ort/ports.ts'
import type { OrtSession } from '../ort/session.ts'
import { booleanParam, integerParam } from '../params.ts'
import { cut, pool, readPooling } from '../pooling.ts'
import type { TaskDefinition } from '../task-definition.ts'
import { textRows } from '../text-columns.ts'
import { loadTextModel } from '../text-model.ts'
import type { RowOutput } from '../token-run.ts'

/** Vector outputs by preference: a graph that pools itself knows best, unless the import says how to pool. */
const pooledNames = ['sentence_embedding', 'embedding', 'embeddings']
const tokenNames = ['last_hidden_state', 'token_embeddings']

export const featureExtractionTask: TaskDefinition = {
  task: 'feature-extraction',
  async load({ session, reader, options, heapLimitBytes }) {
    const config = await readModelConfig(reader)
    const pooling = await readPooling(reader, options)
    const normalize = booleanParam(options, 'normalize') ?? true
    const output = vectorsOf(session, options.pooling !== undefined)
    const batchInvariant = booleanParam(options, 'batchInvariant') ?? false
    const model = await loadTextModel(session, reader, { config, output, batchInvariant, heapLimitBytes })
    const size = output.shape.at(-1)
    const known = typeof size === 'number' ? size : undefined

    const vectorOf = ({ shape, values, tokens }: RowOutput): Float32Array => {
      if (shape.length === 1) return values.slice()
      if (shape.length === 2) return pool(values, shape[1]!, tokens, pooling)
      throw modelFailed(
        `The graph's output "${output.name}" has shape [1, ${shape.join(', ')}]; vectors were expected.`,
      )
    }
    return {
      signature: taskSignature('feature-extraction', known),
      measure: () => measureText(model, session),
      async invoke(request, signal) {
        const wanted = integerParam(request.params, 'dimensions', 1, known ?? Number.MAX_SAFE_INTEGER)
        const texts = textRows(request.inputs)
        requireReplyRoom(texts.length, wanted ?? known ?? config.hiddenSize ?? 0)
        const startedMs = performance.now()
        const read = (row: RowOutput) => {
          const vector = vectorOf(row)
          return cut(vector, wanted ?? vector.length, normalize)
        }
        const { outputs: vectors, promptTokens } = await model.run(texts, read, signal)
        const dimensions = vectors[0]?.length ?? wanted ?? known ?? 0
        const flat = new Float32Array(vectors.length * dimensions)
        for (const [row, vector] of vectors.entries()) flat.set(vector, row * dimensions)
        return {
          outputs: { embedding: tensorOf('float32', [vectors.length, dimensions], flat) },
          usage: { promptTokens, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

/** A short text becomes a long vector, so that a body of the usual size could ask for a reply that nobody can write. */
function requireReplyRoom(rows: number, dimensions: number): void {
  const most = Math.floor(limits.replyVectorNumbers / Math.max(dimensions, 1))
  if (rows > most)
    throw invalidParameter('text', `${rows} rows came; a reply holds ${most} vectors of ${dimensions} numbers`)
}

function vectorsOf(session: OrtSession, poolingChosen: boolean): Port {
  const order = poolingChosen ? [...tokenNames, ...pooledNames] : [...pooledNames, ...tokenNames]
  const ports = order.map((name) => session.outputs.find((port) => port.name === name))
  return ports.find((port) => port !== undefined) ?? session.outputs[0]!
}
