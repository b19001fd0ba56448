import { beforeAll, describe, expect, it } from 'vitest'
import type { ServedModel } from '#contracts/served-model.ts'
import { type BinaryTensor, type NumericTensor, type StringTensor, valuesOf } from '#contracts/tensor.ts'
import { boxesOfGrids, boxesOfQueries, withoutOverlaps } from '#src/engine/detect-boxes.ts'
import { letterbox } from '#src/engine/image/letterbox.ts'
import { pixelsOf } from '#src/engine/image/pixel-input.ts'
import { readPreprocessor } from '#src/engine/image/preprocessor.ts'
import { loadModel } from '#src/engine/load-model.ts'
import { objectDetectionTask } from '#src/engine/tasks/object-detection.ts'
import { greyPng } from '../support/grey-png.ts'
import { bootNodeOrt, jpegWasm } from '../support/node-ort.ts'
import { onnxModel } from '../support/onnx-model.ts'
import {
  haveSharedModels,
  memoryReader,
  sharedBytes,
  sharedJson,
  sharedReader,
  withoutSharedModels,
} from '../support/shared-models.ts'

const images = (...items: Uint8Array[]): BinaryTensor => ({ dtype: 'binary', shape: [items.length], items })
const numbers = (tensor: unknown) => Array.from(valuesOf(tensor as NumericTensor), Number)

describe.skipIf(!haveSharedModels)(`object-detection with YOLOX (${withoutSharedModels})`, () => {
  let model: ServedModel
  const sample = () => images(sharedBytes('yolox-nano', 'sample.jpg'))
  beforeAll(async () => {
    model = await loadModel(await bootNodeOrt(), objectDetectionTask, {
      reader: sharedReader('yolox-nano'),
      graph: 'onnx/model.onnx',
      options: {},
      wasm: { jpeg: await jpegWasm() },
    })
  })

  it('finds the expected boxes, in pixels of the picture that was sent', async () => {
    const { cases } = sharedJson('yolox-nano', 'expected.json') as {
      cases: { tolerance: number; detections: { label: string; score: number; box_xyxy_416: number[] }[] }[]
    }
    const { detections, tolerance } = cases[0]!
    const { outputs, rows } = await model.invoke({ inputs: { image: sample() }, params: { threshold: 0.3 } })
    expect((outputs.label as StringTensor).strings).toEqual(detections.map(({ label }) => label))
    for (const [at, score] of numbers(outputs.score).entries())
      expect(Math.abs(score - detections[at]!.score)).toBeLessThanOrEqual(tolerance)
    // The picture is 832 × 416, so that its area in the graph's input is half as large; boxes end at its edge.
    const boxes = numbers(outputs.box)
    for (const [at, value] of detections.flatMap(({ box_xyxy_416 }) => box_xyxy_416).entries())
      expect(Math.abs(boxes[at]! / 2 - Math.min(value, at % 2 === 0 ? 416 : 208))).toBeLessThan(1)
    expect(rows).toEqual([
      detections.map(({ label }, at) => {
        const [xmin, ymin, xmax, ymax] = boxes.slice(4 * at, 4 * at + 4).map(Math.trunc)
        return { label, score: numbers(outputs.score)[at], box: { xmin, ymin, xmax, ymax } }
      }),
    ])
  })

  it('threshold and overlap are followed, and each picture is for itself', async () => {
    const inputs = { image: images(...sample().items, ...sample().items) }
    const { outputs, rows } = await model.invoke({ inputs, params: {} })
    expect(rows).toMatchObject([
      [{ label: 'bird' }, { label: 'cat' }],
      [{ label: 'bird' }, { label: 'cat' }],
    ])
    expect(numbers(outputs.row)).toEqual([0, 0, 1, 1])
    const all = await model.invoke({ inputs: { image: sample() }, params: { overlap: 1 } })
    expect((all.rows![0] as unknown[]).length).toBeGreaterThan(2)
    await expect(model.invoke({ inputs, params: { threshold: 2 } })).rejects.toThrow(
      'threshold: 2 is no number between',
    )
    const broken = { image: images(...sample().items, Uint8Array.of(1)) }
    await expect(model.invoke({ inputs: broken, params: {} })).rejects.toMatchObject({ status: 400, field: 'image[1]' })
  })
})

describe('object-detection with queries', () => {
  /** Two queries whatever the picture is: a cat in the left half, and nothing. */
  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
  const graph = onnxModel({
    nodes: [
      { operator: 'ReduceMean', inputs: ['pixel_values'], outputs: ['grey'], attributes: { keepdims: 0 } },
      { operator: 'Mul', inputs: ['grey', 'zero'], outputs: ['nothing'] },
      { operator: 'Add', inputs: ['scores', 'nothing'], outputs: ['logits'] },
      { operator: 'Add', inputs: ['places', 'nothing'], outputs: ['pred_boxes'] },
    ],
    inputs: [{ name: 'pixel_values', dtype: 'float32', shape: [1, 3, 'height', 'width'] }],
    outputs: [
      { name: 'logits', dtype: 'float32', shape: [1, 2, 3] },
      { name: 'pred_boxes', dtype: 'float32', shape: [1, 2, 4] },
    ],
    weights: [
      { name: 'zero', dtype: 'float32', shape: [1], bytes: floats(0) },
      { name: 'scores', dtype: 'float32', shape: [1, 2, 3], bytes: floats(0, 3, 0, 0, 0, 5) },
      { name: 'places', dtype: 'float32', shape: [1, 2, 4], bytes: floats(0.25, 0.5, 0.5, 1, 0.5, 0.5, 1.5, 1.5) },
    ],
  })
  const config = JSON.stringify({ id2label: { 0: 'dog', 1: 'cat' } })

  it('gives boxes in pixels of the picture; the last class is "no object"', async () => {
    const model = await loadModel(await bootNodeOrt(), objectDetectionTask, {
      reader: memoryReader({ 'model.onnx': graph, 'config.json': config }),
      graph: 'model.onnx',
      options: {},
    })
    const picture = greyPng(new Uint8Array(200), 20, 10)
    const inputs = { image: images(new Uint8Array(picture)) }
    const score = expect.closeTo(Math.exp(3) / (Math.exp(3) + 2), 5)
    const cat = { label: 'cat', score, box: { xmin: 0, ymin: 0, xmax: 10, ymax: 10 } }
    expect((await model.invoke({ inputs, params: {} })).rows).toEqual([[cat]])
    const { rows } = await model.invoke({ inputs, params: { threshold: 0 } })
    expect(rows![0]).toMatchObject([cat, { label: 'dog', box: { xmin: 0, ymin: 0, xmax: 20, ymax: 10 } }])
  })

  it('a graph without "no object" has a probability per class', () => {
    const places = Float32Array.of(0.5, 0.5, 1, 1)
    const [box] = boxesOfQueries(Float32Array.of(-1, 2), places, { classes: 2, threshold: 0.5 })
    expect(box).toEqual({ label: 1, score: expect.closeTo(0.8808, 4), xmin: 0, ymin: 0, xmax: 1, ymax: 1 })
  })

  it('refuses a graph that is no detector', async () => {
    const classifier = onnxModel({
      nodes: [{ operator: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [1, 3, 8, 8] }],
    })
    const reader = memoryReader({ 'model.onnx': classifier })
    await expect(
      loadModel(await bootNodeOrt(), objectDetectionTask, { reader, graph: 'model.onnx', options: {} }),
    ).rejects.toThrow('The graph gives "y" [1, 3, 8, 8]; a detector gives')
  })
})

describe('boxes', () => {
  const box = (label: number, score: number, xmin: number, xmax: number) => ({
    label,
    score,
    xmin,
    ymin: 0,
    xmax,
    ymax: 1,
  })

  it('of one label give way to a better one that they overlap', () => {
    const boxes = [box(0, 0.5, 0, 10), box(0, 0.9, 1, 11), box(1, 0.4, 1, 11), box(0, 0.3, 20, 30)]
    expect(withoutOverlaps(boxes, 0.45).map(({ score }) => score)).toEqual([0.9, 0.4, 0.3])
  })

  it('of grids that do not fit the picture are refused', () => {
    const options = { width: 64, height: 64, strides: [8, 16, 32], threshold: 0.5, overlap: 0.5 }
    expect(boxesOfGrids(new Float32Array(84 * 6), 6, options)).toEqual([])
    expect(() => boxesOfGrids(new Float32Array(80 * 6), 6, options)).toThrow('80 rows of 6 numbers')
  })
})

describe('pictures for detectors', () => {
  const picture = (width: number, height: number) => ({
    width,
    height,
    rgb: new Uint8Array(width * height * 3).fill(7),
  })

  it('a letterbox keeps proportions, at the top left', () => {
    const { picture: boxed, scale } = letterbox(picture(8, 4), { width: 4, height: 4 }, 2, 114)
    expect(scale).toBe(0.5)
    expect([...boxed.rgb.filter((_, at) => at % 3 === 0)]).toEqual([...Array(8).fill(7), ...Array(8).fill(114)])
  })

  it('the shorter edge gives way where the longer one would be too long', async () => {
    const sizeOf = async (width: number, height: number) => {
      const reader = memoryReader({ 'preprocessor_config.json': '{"size":{"shortest_edge":80,"longest_edge":133}}' })
      const layout = { channelsLast: false, channels: 3, width: undefined, height: undefined } as const
      return pixelsOf(picture(width, height), await readPreprocessor(reader), layout).shape
    }
    expect(await sizeOf(40, 40)).toEqual([3, 80, 80])
    expect(await sizeOf(64, 48)).toEqual([3, 80, 106])
    expect(await sizeOf(20, 60)).toEqual([3, 132, 44])
  })

  it('refuses a letterbox of another kind', async () => {
    const reader = memoryReader({ 'preprocessor_config.json': '{"resize_mode":"letterbox, center"}' })
    await expect(readPreprocessor(reader)).rejects.toThrow('resize_mode that glim does not know')
  })
})
