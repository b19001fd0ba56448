/** Open Inference Protocol v2 (REST): tensors by name, flat row-major `data`. */
import * as z from 'zod'
import { badRequest } from '#contracts/errors.ts'
import type { InvocationReply, InvocationRequest } from '#contracts/invocation.ts'
import { parseBody } from '#contracts/parse.ts'
import type { ModelVersion } from '#contracts/registry.ts'
import type { Field } from '#contracts/signature.ts'
import { type Dtype, dtypes, elementCount, type Tensor } from '#contracts/tensor.ts'
import { checkParams, fitted, listed } from '../enforce-schema.ts'
import { elementsToJson, schema, tensorFromJson } from '../json-tensor.ts'

const requestSchema = z.object({
  id: z.string().optional(),
  parameters: z.record(z.string(), z.unknown()).optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.number().int().nonnegative()),
        datatype: z.string(),
        parameters: z.record(z.string(), z.unknown()).optional(),
        data: z.array(z.unknown()),
      }),
    )
    .min(1),
  outputs: z.array(z.object({ name: z.string(), parameters: z.record(z.string(), z.unknown()).optional() })).optional(),
})

export function openInferenceRequest(
  body: unknown,
  version: ModelVersion,
): { id: string | undefined; request: InvocationRequest } {
  const { id, inputs, outputs, parameters } = parseBody(requestSchema, body)
  const { signature } = version
  const tensors: Record<string, Tensor> = Object.create(null)
  for (const [index, input] of inputs.entries()) {
    const path = `inputs[${index}]`
    const field = signature.inputs.find((candidate) => candidate.name === input.name)
    if (!field) throw schema(path, `unexpected input "${input.name}"; expected ${listed(signature)}`)
    if (tensors[input.name]) throw schema(path, `input "${input.name}" came twice`)
    tensors[input.name] = tensorOf(input, field, path)
  }
  const missing = signature.inputs.find((field) => field.optional !== true && !tensors[field.name])
  if (missing) throw schema('inputs', `input "${missing.name}" (${datatypeOf(missing.dtype)}) is missing`)
  for (const { name } of outputs ?? []) {
    if (!signature.outputs.some((field) => field.name === name)) {
      throw badRequest(
        `outputs: the model has no output "${name}"; it has ${signature.outputs.map((field) => field.name).join(', ')}.`,
        'outputs',
      )
    }
  }
  const params = checkParams(parameters, signature.params, 'parameters')
  return {
    id,
    request: { inputs: tensors, params, ...(outputs?.length ? { outputs: outputs.map(({ name }) => name) } : {}) },
  }
}

export function openInferenceReply(reply: InvocationReply, model: string, version: string, id: string): unknown {
  const outputs = Object.entries(reply.outputs).map(([name, tensor]) => ({
    name,
    datatype: datatypeOf(tensor.dtype),
    shape: tensor.shape,
    data: elementsToJson(tensor),
  }))
  return { model_name: model, model_version: version, id, outputs }
}

export function openInferenceMetadata(model: string, versions: readonly string[], version: ModelVersion): unknown {
  const described = (field: Field) => ({
    name: field.name,
    datatype: datatypeOf(field.dtype),
    // −1 stands for any size.
    shape: field.shape.map((size) => (typeof size === 'number' ? size : -1)),
  })
  return {
    name: model,
    versions,
    platform: version.task === 'tensor' ? 'onnx_onnxruntime' : `glim_${version.task}`,
    inputs: version.signature.inputs.map(described),
    outputs: version.signature.outputs.map(described),
  }
}

type InputTensor = z.infer<typeof requestSchema>['inputs'][number]

function tensorOf(input: InputTensor, field: Field, path: string): Tensor {
  const expected = datatypeOf(field.dtype)
  if (input.datatype !== expected)
    throw schema(`${path}.datatype`, `expected ${expected} for "${input.name}", got "${input.datatype}"`)
  const flat = tensorFromJson(input.data, field.dtype, `${path}.data`)
  const wanted = elementCount(input.shape)
  // The protocol also allows `data` nested as `shape` says.
  const nestedAsShaped = flat.shape.length > 1 && flat.shape.join() === input.shape.join()
  if (!nestedAsShaped && (flat.shape.length !== 1 || flat.shape[0] !== wanted)) {
    throw schema(
      `${path}.data`,
      `shape [${input.shape.join(', ')}] takes ${wanted} values, got ${elementCount(flat.shape)}`,
    )
  }
  return fitted({ ...flat, shape: input.shape }, field, path)
}

function datatypeOf(dtype: Dtype | 'binary'): string {
  return dtype === 'binary' ? 'BYTES' : dtypes[dtype].oip
}
