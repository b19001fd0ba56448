import { describe, expect, it } from 'vitest'
import type { ModelVersion } from '#contracts/registry.ts'
import { tasks } from '#contracts/task.ts'
import { taskSignature } from '#contracts/task-signatures.ts'
import { exampleBody } from '#src/compiler/input-example.ts'
import { type ModelFacts, planTask } from '#src/compiler/plan-task.ts'
import { nativeRequest } from '#src/gateway/dialects/native.ts'

const text = ['config.json', 'tokenizer.json', 'onnx/model.onnx']
const facts = (architecture: string, config: object = {}, paths = text): ModelFacts => ({
  paths,
  config: { architectures: [architecture], ...config },
})

describe('the task of a model', () => {
  it.each([
    ['text-classification', facts('BertForSequenceClassification')],
    ['text-classification', facts('BertForSequenceClassification', { id2label: { 0: 'x' } })],
    ['rerank', facts('BertForSequenceClassification', { id2label: { 0: 'x' }, sentence_transformers: {} })],
    ['rerank', facts('BertForSequenceClassification', { num_labels: 1, sbert_ce_default_activation_function: 'x' })],
    ['token-classification', facts('RobertaForTokenClassification')],
    ['object-detection', facts('DetrForObjectDetection', {}, ['config.json', 'onnx/model.onnx'])],
    ['object-detection', { paths: ['config.json'], config: { model_type: 'yolox' } }],
    ['voice-activity', { paths: ['config.json'], config: { model_type: 'silero_vad' } }],
    ['tensor', { paths: ['model.onnx'], config: {} }],
  ] as const)('%s is read from its files', (task, given) => {
    expect(planTask(given)).toBe(task)
  })

  it('that is asked for needs its files', () => {
    const bare = { paths: ['model.onnx'], config: {} }
    expect(() => planTask(bare, 'rerank')).toThrow('rerank needs tokenizer.json, which the model does not have')
    expect(() => planTask(bare, 'ranking')).toThrow('"ranking" is not one of tensor, text-classification')
    expect(planTask(bare, 'voice-activity')).toBe('voice-activity')
  })
})

it.each(tasks.filter((task) => task !== 'text-generation' && exampleBody(task) !== null))(
  'the example of %s fits its signature',
  (task) => {
    const version = { task, signature: taskSignature(task as Exclude<typeof task, 'tensor'>) } as ModelVersion
    expect(Object.keys(nativeRequest(exampleBody(task), version).inputs)).not.toHaveLength(0)
  },
)
