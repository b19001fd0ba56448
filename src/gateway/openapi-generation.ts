/** The bodies and replies of text generation in an endpoint's OpenAPI document: OpenAI's three shapes, told apart by their key. */
import { limits } from '#contracts/limits.ts'

const text = { type: 'string' }
const count = { type: 'integer', minimum: 1 }
const texts = { type: 'array', items: text }
const anyObject = { type: 'object' }

const sampling = {
  temperature: { type: 'number', minimum: 0, maximum: 2, description: '0 takes the likeliest token each time.' },
  top_p: { type: 'number', minimum: 0, maximum: 1 },
  top_k: { type: 'integer', minimum: -1 },
  min_p: { type: 'number', minimum: 0, maximum: 1 },
  presence_penalty: { type: 'number', minimum: -2, maximum: 2 },
  frequency_penalty: { type: 'number', minimum: -2, maximum: 2 },
  repetition_penalty: { type: 'number', exclusiveMinimum: 0, maximum: 10 },
  seed: { type: 'integer', description: 'The same seed gives the same text.' },
  logit_bias: { type: 'object', additionalProperties: { type: 'number', minimum: -100, maximum: 100 } },
  stream: { type: 'boolean', description: 'Answers with server-sent events.' },
}

const stopping = {
  stop: { oneOf: [text, { ...texts, maxItems: limits.stopTexts }] },
  n: { ...count, maximum: limits.choices },
  max_tokens: count,
}

const message = {
  type: 'object',
  properties: {
    role: { type: 'string', enum: ['system', 'developer', 'user', 'assistant', 'tool'] },
    content: { oneOf: [text, { type: 'array', items: anyObject }, { type: 'null' }] },
    name: text,
    tool_calls: { type: 'array', items: anyObject },
    tool_call_id: text,
  },
  required: ['role'],
}

const tools = {
  tools: { type: 'array', items: anyObject, maxItems: limits.tools },
  tool_choice: { oneOf: [{ type: 'string', enum: ['none', 'auto', 'required'] }, anyObject] },
  parallel_tool_calls: { type: 'boolean' },
}

/** Beside the tabular forms. */
export const generationForms: readonly unknown[] = [
  {
    title: 'Chat completion',
    type: 'object',
    properties: {
      messages: { type: 'array', items: message, minItems: 1, maxItems: limits.messages },
      ...sampling,
      ...stopping,
      ...tools,
      max_completion_tokens: count,
      logprobs: { type: 'boolean' },
      top_logprobs: { type: 'integer', minimum: 0, maximum: limits.topLogprobs },
      response_format: anyObject,
      chat_template_kwargs: { ...anyObject, description: "Further variables of the model's chat template." },
      stream_options: anyObject,
    },
    required: ['messages'],
  },
  {
    title: 'Completion',
    type: 'object',
    properties: {
      prompt: { oneOf: [text, texts, { type: 'array', items: { type: 'integer' } }] },
      ...sampling,
      ...stopping,
      max_tokens: { type: 'integer', minimum: 0, description: '0 only with echo: the prompt alone.' },
      echo: { type: 'boolean' },
      logprobs: { type: 'integer', minimum: 0, maximum: limits.topLogprobs },
      stream_options: anyObject,
    },
    required: ['prompt'],
  },
  {
    title: 'Response',
    type: 'object',
    properties: {
      input: { oneOf: [text, { type: 'array', items: anyObject, maxItems: limits.messages }] },
      instructions: text,
      previous_response_id: text,
      store: { type: 'boolean' },
      ...sampling,
      ...tools,
      max_output_tokens: count,
      text: anyObject,
    },
    required: ['input'],
  },
]

/** Not wrapped in `predictions`. */
export const generationReplies: readonly unknown[] = [
  reply('chat.completion', 'choices'),
  reply('text_completion', 'choices'),
  reply('response', 'output'),
]

export const generationStream = {
  'text/event-stream': { schema: { type: 'string', description: 'With stream: true.' } },
}

function reply(object: string, list: string): unknown {
  return {
    type: 'object',
    properties: {
      id: text,
      object: { type: 'string', enum: [object] },
      model: text,
      [list]: { type: 'array', items: anyObject },
      usage: anyObject,
    },
    required: ['id', 'object', 'model', list],
  }
}
