/**
 * Text that continues a prompt: events for the dialects of language models, and for the tabular ones each row's text with its
 * continuation, as the Hugging Face pipeline's `generated_text` has it.
 */
import { ServingError } from '#contracts/errors.ts'
import type { GenerationRequest } from '#contracts/generation.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import { limits } from '#contracts/limits.ts'
import { taskSignature } from '#contracts/task-signatures.ts'
import { generate, type TextModel } from '../generation/generate.ts'
import { loadGeneration } from '../generation/load-generation.ts'
import { integerParam, numberParam, type Params } from '../params.ts'
import type { TaskDefinition } from '../task-definition.ts'
import { textRows } from '../text-columns.ts'

export const textGenerationTask: TaskDefinition = {
  task: 'text-generation',
  async load(context) {
    const model = await loadGeneration(context)
    let invocations = 0
    return {
      signature: taskSignature('text-generation'),
      generate: (request, signal) => generate(model, request, signal),
      broken: () => model.scheduler.broken,
      // Nothing tells whose the rows are, so each invocation is a tenant of its own.
      invoke: (request, signal) => continueRows(model, `rows ${invocations++}`, request, signal),
    }
  },
}

/** The rows one after another: one request holds one place, however many rows it has. */
async function continueRows(
  model: TextModel,
  tenant: string,
  request: InvocationRequest,
  signal?: AbortSignal,
): Promise<InvocationReply> {
  const startedMs = performance.now()
  const rows: { generated_text: string }[] = []
  let promptTokens = 0
  for (const { text } of textRows(request.inputs)) {
    const events = await generate(model, requestFor(text, tenant, request.params), signal)
    let continuation = ''
    for await (const event of events) {
      if (event.type === 'text-delta') continuation += event.text
      if (event.type === 'usage-final') promptTokens += event.usage.promptTokens
      if (event.type === 'failed') throw new ServingError(event.error)
    }
    rows.push({ generated_text: text + continuation })
  }
  const strings = rows.map((row) => row.generated_text)
  return {
    outputs: { generated_text: { dtype: 'string', shape: [rows.length], strings } },
    rows,
    usage: { promptTokens, runMs: performance.now() - startedMs, loadMs: 0 },
  }
}

function requestFor(text: string, tenant: string, params: Params): GenerationRequest {
  return {
    prompt: { kind: 'text', text },
    choices: 1,
    maxTokens: integerParam(params, 'max_tokens', 1, Number.MAX_SAFE_INTEGER) ?? null,
    sampling: {
      temperature: numberParam(params, 'temperature', 0, 2) ?? null,
      topK: integerParam(params, 'top_k', 0, Number.MAX_SAFE_INTEGER) ?? null,
      topP: numberParam(params, 'top_p', 0, 1) ?? null,
      minP: null,
      repetitionPenalty: null,
      presencePenalty: null,
      frequencyPenalty: null,
      logitBias: {},
      seed: integerParam(params, 'seed', 0, Number.MAX_SAFE_INTEGER) ?? null,
    },
    stop: [],
    ignoreEos: false,
    topLogprobs: null,
    echo: false,
    constraint: null,
    tenant,
    deadlineMs: limits.executionMs,
  }
}
