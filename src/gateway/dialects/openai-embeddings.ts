/** OpenAI's embeddings, in and out. */
import * as z from 'zod'
import { base64Of } from '#contracts/bytes.ts'
import { badRequest, invalidParameter } from '#contracts/errors.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import { parseBody } from '#contracts/parse.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import type { NumericTensor } from '#contracts/tensor.ts'
import { valuesOf } from '#contracts/tensor.ts'

/** The figure of OpenAI's own API. */
const mostInputs = 2_048

const bodySchema = z.object({
  input: z.union([z.string(), z.array(z.unknown())], 'expected a string or a list of strings'),
  encoding_format: z.enum(['float', 'base64']).optional(),
  dimensions: z.number().int().positive().nullish(),
  user: z.string().optional(),
})

export interface EmbeddingsRequest {
  request: InvocationRequest
  encoding: 'float' | 'base64'
}

export function embeddingsRequest(body: unknown, version: ModelVersion): EmbeddingsRequest {
  if (version.task !== 'feature-extraction') {
    throw badRequest(
      `The model serves the task ${version.task}; embeddings need an endpoint that serves feature-extraction.`,
      'model',
    )
  }
  const { input, encoding_format, dimensions } = parseBody(bodySchema, body)
  const texts = typeof input === 'string' ? [input] : input
  if (texts.length === 0) throw invalidParameter('input', 'expected at least one text, got an empty list.')
  if (texts.length > mostInputs)
    throw invalidParameter('input', `${texts.length} texts are more than the ${mostInputs} allowed.`)
  for (const [index, text] of texts.entries()) {
    if (typeof text === 'number' || Array.isArray(text))
      throw invalidParameter(
        `input[${index}]`,
        'token ids are not accepted, because every model has its own vocabulary; send the text.',
      )
    if (typeof text !== 'string')
      throw invalidParameter(`input[${index}]`, `expected a string, got ${text === null ? 'null' : typeof text}.`)
    if (text === '') throw invalidParameter(`input[${index}]`, 'expected a text, got an empty string.')
  }
  return {
    request: {
      inputs: { text: { dtype: 'string', shape: [texts.length], strings: texts as string[] } },
      params: dimensions ? { dimensions } : {},
    },
    encoding: encoding_format ?? 'float',
  }
}

export function embeddingsReply(reply: InvocationReply, model: string, encoding: 'float' | 'base64'): unknown {
  const embedding = reply.outputs.embedding as NumericTensor
  const [rows = 0, size = 0] = embedding.shape
  const values = valuesOf(embedding) as Float32Array
  const data = Array.from({ length: rows }, (_, index) => {
    const vector = values.subarray(index * size, (index + 1) * size)
    const bytes = new Uint8Array(vector.buffer as ArrayBuffer, vector.byteOffset, vector.byteLength)
    return { object: 'embedding', index, embedding: encoding === 'base64' ? base64Of(bytes) : Array.from(vector) }
  })
  const { promptTokens } = reply.usage
  return { object: 'list', data, model, usage: { prompt_tokens: promptTokens, total_tokens: promptTokens } }
}
