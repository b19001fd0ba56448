import { describe, expect, it } from 'vitest'
import { chooseGraph, companionsOf } from '#src/compiler/choose-graph.ts'

describe('the graph of a folder', () => {
  it.each([
    [['model.onnx', 'onnx/model.onnx', 'onnx/model_quantized.onnx'], {}, 'onnx/model.onnx'],
    [['model.onnx', 'other.onnx'], {}, 'model.onnx'],
    [['weights/only.onnx', 'config.json'], {}, 'weights/only.onnx'],
    [['onnx/model_quantized.onnx'], {}, 'onnx/model_quantized.onnx'],
    [['onnx/model.onnx', 'onnx/model_quantized.onnx'], { dtype: 'q8' }, 'onnx/model_quantized.onnx'],
    [['onnx/model.onnx', 'onnx/model_q4f16.onnx'], { dtype: 'q4f16' }, 'onnx/model_q4f16.onnx'],
    [['onnx/model.onnx', 'extra/b.onnx'], { file: 'extra/b.onnx' }, 'extra/b.onnx'],
  ])('of %j with %j is %s', (paths, choice, graph) => {
    expect(chooseGraph(paths, choice)).toBe(graph)
  })

  it.each([
    [['a.onnx', 'b.onnx'], {}, 'there is a.onnx, b.onnx'],
    [['config.json'], {}, 'there is no .onnx file at all'],
    [
      ['onnx/model.onnx'],
      { dtype: 'q8' },
      'no graph is named for q8 (onnx/model_quantized.onnx); there is onnx/model.onnx',
    ],
    [['onnx/model.onnx'], { dtype: 'q9' }, '"q9" is not one of fp32, fp16, q8'],
    [['onnx/model.onnx'], { file: 'x.onnx' }, '"x.onnx" is not among the model\'s files'],
  ])('of %j with %j is refused: %s', (paths, choice, message) => {
    expect(() => chooseGraph(paths, choice)).toThrow(message)
  })

  it('brings its tokenizer, configuration and external data, and no other graph', () => {
    const paths = [
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'onnx/model_q4.onnx',
      'tokenizer.json',
      'README.md',
      'config.json',
    ]
    expect(companionsOf('onnx/model.onnx', paths)).toEqual(['onnx/model.onnx_data', 'tokenizer.json', 'config.json'])
  })
})
