/**
 * What tasks with columns take and give. It follows from the task alone, so that a version can be registered, and requests to it
 * be checked, before a byte of its weights was fetched. A tensor entity's signature is its graph's.
 */
import type { Field, Param, Signature } from './signature.ts'
import type { Task } from './task.ts'

export const scoreFunctions = ['none', 'softmax', 'sigmoid'] as const

/** Labels of a picture where the request does not say how many. */
export const pictureLabelsByDefault = 5

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

function integerParam(name: string, minimum: number, description: string): Param {
  return { name, type: 'integer', minimum, description }
}

function functionParam(description: string): Param {
  return { name: 'function_to_apply', type: 'string', values: [...scoreFunctions], description }
}
