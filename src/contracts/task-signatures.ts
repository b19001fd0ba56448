/**
 * What tasks with columns take and give. It follows from the task alone, so that a version can be registered, and requests to it
 * be checked, before a byte of its weights was fetched. A tensor entity's signature is its graph's.
 */
import type { Field, Param, Signature } from './signature.ts'
import type { Task } from './task.ts'

export const scoreFunctions = ['none', 'softmax', 'sigmoid'] as const

/** Labels of a picture where the request does not say how many. */
export const pictureLabelsByDefault = 5

export const aggregationStrategies = ['none', 'simple', 'first', 'average', 'max'] as const

/** The task's own settings where the request does not say. */
export const detectionDefaults = { threshold: 0.5, overlap: 0.45 } as const
export const voiceDefaults = { threshold: 0.5, minSpeechMs: 250, minSilenceMs: 100 } as const

export const textField: Field = { name: 'text', dtype: 'string', shape: ['rows'] }
export const textPairField: Field = { name: 'text_pair', dtype: 'string', shape: ['rows'], optional: true }
const imageField: Field = { name: 'image', dtype: 'binary', shape: ['rows'] }

const labelOutputs: Field[] = [
  { name: 'label', dtype: 'string', shape: ['rows', 'labels'] },
  { name: 'score', dtype: 'float32', shape: ['rows', 'labels'] },
]

/** @param dimensions the length of an embedder's vectors, where it is known. */
export function taskSignature(task: Exclude<Task, 'tensor'>, dimensions?: number): Signature {
  switch (task) {
    case 'text-classification':
      return {
        inputs: [textField, textPairField],
        outputs: labelOutputs,
        params: [
          integerParam('top_k', 0, 'How many labels each row gets; 0 or null for all. 1 if absent.'),
          functionParam("What turns the model's numbers into scores; by default what its configuration asks for."),
        ],
      }
    case 'image-classification':
      return {
        inputs: [imageField],
        outputs: labelOutputs,
        params: [
          integerParam('top_k', 1, `How many labels each row gets; ${pictureLabelsByDefault} if absent.`),
          functionParam(
            "What turns the model's numbers into scores; by default softmax, unless the graph gives probabilities.",
          ),
        ],
      }
    case 'token-classification':
      return {
        inputs: [textField],
        outputs: [
          { name: 'row', dtype: 'int32', shape: ['entities'] },
          { name: 'entity', dtype: 'string', shape: ['entities'] },
          { name: 'score', dtype: 'float32', shape: ['entities'] },
          { name: 'word', dtype: 'string', shape: ['entities'] },
          { name: 'start', dtype: 'int32', shape: ['entities'] },
          { name: 'end', dtype: 'int32', shape: ['entities'] },
        ],
        params: [
          {
            name: 'aggregation_strategy',
            type: 'string',
            values: [...aggregationStrategies],
            description: 'How tokens become entities; "none" (if absent) gives each token for itself.',
          },
          {
            name: 'ignore_labels',
            type: 'string',
            description: 'Labels to leave out, with commas between them; "O" if absent.',
          },
        ],
      }
    case 'rerank':
      return {
        inputs: [
          { ...textField, optional: true },
          textPairField,
          { name: 'query', dtype: 'string', shape: ['rows'], optional: true },
          { name: 'documents', dtype: 'string', shape: ['rows', 'documents'], optional: true },
        ],
        outputs: [
          { name: 'score', dtype: 'float32', shape: ['rows', 'documents'] },
          { name: 'index', dtype: 'int32', shape: ['rows', 'documents'] },
        ],
        params: [
          integerParam('top_n', 1, 'How many of the documents of each query come back, the best first; all if absent.'),
          {
            name: 'return_documents',
            type: 'boolean',
            description: 'Whether the documents come back with their scores; false if absent.',
          },
          functionParam("What turns the model's number into a score; by default what its configuration asks for."),
        ],
      }
    case 'object-detection':
      return {
        inputs: [imageField],
        outputs: [
          { name: 'row', dtype: 'int32', shape: ['objects'] },
          { name: 'label', dtype: 'string', shape: ['objects'] },
          { name: 'score', dtype: 'float32', shape: ['objects'] },
          { name: 'box', dtype: 'float32', shape: ['objects', 4] },
        ],
        params: [
          fractionParam('threshold', `The least score of an object; ${detectionDefaults.threshold} if absent.`),
          fractionParam(
            'overlap',
            `Of two boxes of one label that overlap by more (intersection over union) the better stays, for models that give every box; ${detectionDefaults.overlap} if absent.`,
          ),
        ],
      }
    case 'voice-activity':
      return {
        inputs: [{ name: 'audio', dtype: 'binary', shape: ['rows'] }],
        outputs: [
          { name: 'row', dtype: 'int32', shape: ['segments'] },
          { name: 'start', dtype: 'float64', shape: ['segments'] },
          { name: 'end', dtype: 'float64', shape: ['segments'] },
        ],
        params: [
          fractionParam('threshold', `The least probability of speech; ${voiceDefaults.threshold} if absent.`),
          integerParam('min_speech_ms', 0, `Shorter speech is left out; ${voiceDefaults.minSpeechMs} if absent.`),
          integerParam(
            'min_silence_ms',
            0,
            `Speech goes on over shorter silence; ${voiceDefaults.minSilenceMs} if absent.`,
          ),
          {
            name: 'return_probabilities',
            type: 'boolean',
            description: 'Whether the probability of each frame comes back too; false if absent.',
          },
          {
            name: 'state',
            type: 'string',
            description:
              'For sound that comes in pieces: empty with the first piece, then the state that came back with the one before.',
          },
        ],
      }
    case 'text-generation':
      return {
        inputs: [textField],
        outputs: [{ name: 'generated_text', dtype: 'string', shape: ['rows'] }],
        params: generationParams,
      }
    case 'feature-extraction':
      return {
        inputs: [textField],
        outputs: [{ name: 'embedding', dtype: 'float32', shape: ['rows', dimensions ?? 'dimensions'] }],
        params: [
          {
            ...integerParam(
              'dimensions',
              1,
              'Keeps the first dimensions of each vector and brings it back to unit length.',
            ),
            ...(dimensions === undefined ? {} : { maximum: dimensions }),
          },
        ],
      }
  }
}

/** What a row of the tabular formats may set; the LLM formats have all of OpenAI's. */
const generationParams: Param[] = [
  integerParam('max_tokens', 1, 'Most tokens of each text; by default as many as the context has room for.'),
  {
    name: 'temperature',
    type: 'number',
    minimum: 0,
    maximum: 2,
    description: '0 takes the likeliest token each time.',
  },
  {
    name: 'top_p',
    type: 'number',
    minimum: 0,
    maximum: 1,
    description: 'Keeps the likeliest tokens up to this probability.',
  },
  integerParam('top_k', 0, 'Keeps this many of the likeliest tokens; 0 for all.'),
  integerParam('seed', 0, 'The same seed gives the same text.'),
]

function integerParam(name: string, minimum: number, description: string): Param {
  return { name, type: 'integer', minimum, description }
}

function fractionParam(name: string, description: string): Param {
  return { name, type: 'number', minimum: 0, maximum: 1, description }
}

function functionParam(description: string): Param {
  return { name: 'function_to_apply', type: 'string', values: [...scoreFunctions], description }
}
