/** An endpoint's OpenAPI document, as the reference has it: one path per served entity, schemas from its signature. */
import type { EndpointConfig, ModelVersion, ServedEntity } from '#contracts/registry.ts'
import type { Field, Param } from '#contracts/signature.ts'
import type { Task } from '#contracts/task.ts'
import { generationForms, generationReplies, generationStream } from './openapi-generation.ts'
import { labelRow, predictionRows } from './openapi-predictions.ts'

export interface OpenapiOptions {
  name: string
  config: EndpointConfig | null
  /** Origin of the server, such as `http://127.0.0.1:8787`. */
  origin: string
  versionOf(entity: ServedEntity): ModelVersion | undefined
}

export function openapiDocument({ name, config, origin, versionOf }: OpenapiOptions): unknown {
  const entities = config?.servedEntities ?? []
  return {
    openapi: '3.1.0',
    info: { title: name, version: String(config?.version ?? 0) },
    servers: [{ url: `${origin}/serving-endpoints/${name}` }],
    paths: Object.fromEntries(
      entities.flatMap((entity) => {
        const version = versionOf(entity)
        return version ? [[`/served-models/${entity.name}/invocations`, { post: operation(entity, version) }]] : []
      }),
    ),
  }
}

function operation(entity: ServedEntity, version: ModelVersion): unknown {
  const { signature, inputExample, task } = version
  const params = signature.params.length > 0 ? { params: paramsSchema(signature.params) } : {}
  const record = objectOf(signature.inputs, (field) => valueSchema(field, task, 'row'))
  const columns = objectOf(signature.inputs, (field) => valueSchema(field, task, 'column'))
  const forms = [
    form('inputs', columns, params),
    form('instances', { type: 'array', items: record }, params),
    form('dataframe_records', { type: 'array', items: record }, params),
    form('dataframe_split', splitSchema(signature.inputs), params),
    ...(task === 'text-generation' ? generationForms : []),
  ]
  const predictions = {
    type: 'object',
    properties: { predictions: predictionsSchema(version) },
    required: ['predictions'],
  }
  return {
    summary: `Query ${entity.entityName} version ${entity.entityVersion} (${task})`,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { oneOf: forms }, ...(inputExample ? { example: inputExample } : {}) } },
    },
    responses: {
      '200': {
        description: 'Predictions.',
        content: {
          'application/json': {
            schema: task === 'text-generation' ? { oneOf: [predictions, ...generationReplies] } : predictions,
          },
          ...(task === 'text-generation' ? generationStream : {}),
        },
      },
    },
  }
}

function form(key: string, schema: unknown, params: object): unknown {
  return { type: 'object', properties: { [key]: schema, ...params }, required: [key] }
}

function splitSchema(fields: readonly Field[]): unknown {
  return {
    type: 'object',
    properties: {
      columns: { type: 'array', items: { type: 'string', enum: fields.map((field) => field.name) } },
      index: { type: 'array', items: { type: 'integer' } },
      data: { type: 'array', items: { type: 'array' } },
    },
    required: ['data'],
  }
}

function objectOf(fields: readonly Field[], schemaOf: (field: Field) => unknown): unknown {
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map((field) => [field.name, schemaOf(field)])),
    required: fields.filter((field) => field.optional !== true).map((field) => field.name),
    additionalProperties: false,
  }
}

/** A field as nested lists of its element type; a row lacks the first axis. */
function valueSchema(field: Field, task: Task, as: 'row' | 'column'): unknown {
  const axes = as === 'row' ? field.shape.slice(1) : field.shape
  return axes.reduceRight<unknown>(
    (items, size) => ({
      type: 'array',
      items,
      ...(typeof size === 'number' ? { minItems: size, maxItems: size } : {}),
    }),
    elementSchema(field, task),
  )
}

const bytesOf: Readonly<Partial<Record<Task, string>>> = {
  'image-classification': 'A PNG or JPEG picture.',
  'object-detection': 'A PNG or JPEG picture.',
  'voice-activity': 'A WAV file: 16 kHz, 16-bit PCM.',
}

function elementSchema(field: Field, task: Task): unknown {
  switch (field.dtype) {
    case 'string':
      return { type: 'string' }
    case 'binary':
      return {
        type: 'string',
        contentEncoding: 'base64',
        description: bytesOf[task] ?? 'Bytes.',
      }
    case 'bool':
      return { type: 'boolean' }
    case 'float16':
    case 'float32':
      return { type: 'number', format: 'float' }
    case 'float64':
      return { type: 'number', format: 'double' }
    default:
      return { type: 'integer', format: field.dtype }
  }
}

function paramsSchema(params: readonly Param[]): unknown {
  return {
    type: 'object',
    properties: Object.fromEntries(
      params.map(({ name, type, minimum, maximum, values, description }) => [
        name,
        {
          type,
          description,
          ...(minimum === undefined ? {} : { minimum }),
          ...(maximum === undefined ? {} : { maximum }),
          ...(values ? { enum: values } : {}),
        },
      ]),
    ),
    additionalProperties: false,
  }
}

function predictionsSchema({ signature, task }: ModelVersion): unknown {
  if (task === 'tensor') return objectOf(signature.outputs, (field) => valueSchema(field, task, 'column'))
  return { type: 'array', items: predictionRows[task] ?? labelRow }
}
