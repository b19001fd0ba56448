import { describe, expect, it } from 'vitest'
import { signatureSchema } from '#contracts/signature.ts'
import { signatureFromMlflow } from '#src/compiler/mlflow-signature.ts'

describe('a signature of MLflow', () => {
  it('of tensors becomes fields of their dtypes, with ? where any size fits', () => {
    const signature = signatureFromMlflow({
      inputs: [
        { type: 'tensor', 'tensor-spec': { dtype: 'float32', shape: [-1, 28, 28] }, name: 'image' },
        { type: 'tensor', 'tensor-spec': { dtype: '<U12', shape: [-1] }, name: 'text' },
      ],
      outputs: [{ type: 'tensor', 'tensor-spec': { dtype: 'int64', shape: [-1] } }],
    })
    expect(signature).toEqual({
      inputs: [
        { name: 'image', dtype: 'float32', shape: ['?', 28, 28] },
        { name: 'text', dtype: 'string', shape: ['?'] },
      ],
      outputs: [{ name: '0', dtype: 'int64', shape: ['?'] }],
      params: [],
    })
    expect(signatureSchema.safeParse(signature).success).toBe(true)
  })

  it('of columns becomes one value per row, optional where it is not required', () => {
    const { inputs } = signatureFromMlflow({
      inputs: [
        { type: 'long', name: 'age', required: true },
        { type: 'double', name: 'score', required: false },
        { type: 'boolean', name: 'member', optional: true },
        { type: 'string', name: 'city' },
        { type: 'binary', name: 'photo' },
      ],
    })
    expect(inputs).toEqual([
      { name: 'age', dtype: 'int64', shape: ['rows'] },
      { name: 'score', dtype: 'float64', shape: ['rows'], optional: true },
      { name: 'member', dtype: 'bool', shape: ['rows'], optional: true },
      { name: 'city', dtype: 'string', shape: ['rows'] },
      { name: 'photo', dtype: 'binary', shape: ['rows'] },
    ])
  })

  it('keeps its params with their defaults', () => {
    const { params } = signatureFromMlflow({
      params: [
        { name: 'temperature', type: 'double', default: 0.5, shape: null },
        { name: 'top_k', type: 'integer', default: 3, shape: null },
      ],
    })
    expect(params).toEqual([
      { name: 'temperature', type: 'number', description: 'Default: 0.5.' },
      { name: 'top_k', type: 'integer', description: 'Default: 3.' },
    ])
  })

  it.each([
    [{ inputs: [{ type: 'object', name: 'o', properties: {} }] }, 'signature.inputs.o: glim has no form for object'],
    [
      { outputs: [{ type: 'tensor', 'tensor-spec': { dtype: 'complex64', shape: [1] }, name: 'c' }] },
      'signature.outputs.c: glim has no form for complex64',
    ],
    [
      { params: [{ name: 'stop', type: 'string', shape: [-1] }] },
      'signature.params.stop: glim has no form for a list of',
    ],
    [{ inputs: 'text' }, 'signature.inputs: this is no schema of MLflow'],
  ])('%j is refused, naming the field', (parts, message) => {
    expect(() => signatureFromMlflow(parts)).toThrow(message)
  })
})
