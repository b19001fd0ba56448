/** Boxes around the objects in pictures, as the Hugging Face pipeline of that name gives them. */
import { cancelled, modelFailed } from '#contracts/errors.ts'
import { detectionDefaults, taskSignature } from '#contracts/task-signatures.ts'
import { type NamedTensors, tensorOf } from '#contracts/tensor.ts'
import { type Box, boxesOfGrids, boxesOfQueries } from '../detect-boxes.ts'
import { floatTensor, rowsOf } from '../floats.ts'
import { decodeRow, imageColumn } from '../image/image-column.ts'
import { letterbox } from '../image/letterbox.ts'
import type { Picture } from '../image/picture.ts'
import { layoutOf, type Pixels, pixelsOf } from '../image/pixel-input.ts'
import { readPreprocessor } from '../image/preprocessor.ts'
import { labelOf, readModelConfig } from '../model-config.ts'
import type { Port } from '../ort/ports.ts'
import type { OrtSession } from '../ort/session.ts'
import { numberParam } from '../params.ts'
import { readJson } from '../read-artifact.ts'
import { runGraph } from '../run-graph.ts'
import type { TaskDefinition } from '../task-definition.ts'

interface Wanted {
  threshold: number
  overlap: number
}

/** Finds the boxes in a picture, in its own pixels. */
type Detect = (picture: Picture, wanted: Wanted) => Box[]

const yoloxStrides = [8, 16, 32]

export const objectDetectionTask: TaskDefinition = {
  task: 'object-detection',
  async load({ session, reader, wasm }) {
    const { labels } = await readModelConfig(reader)
    const preprocessor = await readPreprocessor(reader)
    const input = session.inputs.find((port) => port.shape.length === 4)
    if (!input) throw modelFailed('The graph has no input with four dimensions, which a picture needs.')
    for (const port of session.inputs) if (port !== input) requireMask(port)
    const layout = layoutOf(input)

    const run = (pixels: Pixels, outputs: readonly string[]) => {
      const tensor = floatTensor(input.dtype, [1, ...pixels.shape], pixels.values)
      if (!tensor)
        throw modelFailed(`The graph's input "${input.name}" is ${input.dtype}; pictures are floats or uint8.`)
      const [, height = 0, width = 0] = layout.channelsLast ? [0, ...pixels.shape] : pixels.shape
      const masks = session.inputs
        .filter((port) => port !== input)
        .map((port) => {
          const shape = [1, sizeOf(port, 1) ?? height, sizeOf(port, 2) ?? width]
          return [port.name, tensorOf('int64', shape, new BigInt64Array(shape[1]! * shape[2]!).fill(1n))] as const
        })
      const result = runGraph(session, { [input.name]: tensor, ...Object.fromEntries(masks) }, outputs)
      return outputs.map((name) => {
        const { shape, values } = rowsOf(name, result[name]!, 1)
        return { shape, values: values[0]! }
      })
    }

    const [logits, places] = ['logits', 'pred_boxes'].map((name) => session.outputs.find((port) => port.name === name))
    const byQueries: Detect = (picture, { threshold }) => {
      const [scores, boxes] = run(pixelsOf(picture, preprocessor, layout), ['logits', 'pred_boxes'])
      return boxesOfQueries(scores!.values, boxes!.values, { classes: labels.length, threshold }).map((box) =>
        scaled(box, picture.width, picture.height),
      )
    }
    const strides = await stridesOf(reader)
    const byGrids: Detect = (picture, { threshold, overlap }) => {
      const area = preprocessor.resize && 'width' in preprocessor.resize ? preprocessor.resize : undefined
      const size = { width: layout.width ?? area?.width, height: layout.height ?? area?.height }
      const { width, height } = { width: size.width ?? picture.width, height: size.height ?? picture.height }
      const boxed =
        preprocessor.letterbox === null
          ? undefined
          : letterbox(picture, { width, height }, preprocessor.resample, preprocessor.letterbox)
      const pixels = pixelsOf(boxed?.picture ?? picture, { ...preprocessor, resize: { width, height } }, layout)
      const [rows] = run(pixels, [session.outputs[0]!.name])
      const found = boxesOfGrids(rows!.values, rows!.shape.at(-1) ?? 0, { width, height, strides, threshold, overlap })
      const [x, y] = boxed ? [1 / boxed.scale, 1 / boxed.scale] : [picture.width / width, picture.height / height]
      return found.map((box) => scaled(box, x, y))
    }
    const detect = logits && places ? byQueries : requireGrids(session, byGrids)

    return {
      signature: taskSignature('object-detection'),
      async invoke({ inputs, params }, signal) {
        const threshold = numberParam(params, 'threshold', 0, 1) ?? detectionDefaults.threshold
        const overlap = numberParam(params, 'overlap', 0, 1) ?? detectionDefaults.overlap
        const pictures = imageColumn(inputs)
        const startedMs = performance.now()
        const found: Box[][] = []
        for (const [row, bytes] of pictures.entries()) {
          if (signal?.aborted) throw cancelled()
          const picture = await decodeRow(bytes, row, wasm?.jpeg)
          found.push(detect(picture, { threshold, overlap }).map((box) => within(box, picture)))
        }
        return {
          outputs: boxTensors(found, labels),
          rows: found.map((boxes) => boxes.map((box) => describe(box, labels))),
          usage: { promptTokens: 0, runMs: performance.now() - startedMs, loadMs: 0 },
        }
      },
    }
  },
}

/** As the pipeline has it, whose boxes are whole pixels. */
function describe({ label, score, xmin, ymin, xmax, ymax }: Box, labels: readonly string[]) {
  const [left, top, right, bottom] = [xmin, ymin, xmax, ymax].map(Math.trunc)
  return { score, label: labelOf(labels, label), box: { xmin: left, ymin: top, xmax: right, ymax: bottom } }
}

/** All boxes of all pictures one after another, with the row of each. */
function boxTensors(found: readonly (readonly Box[])[], labels: readonly string[]): NamedTensors {
  const all = found.flatMap((boxes, row) => boxes.map((box) => ({ ...box, row })))
  const shape = [all.length]
  return {
    row: tensorOf(
      'int32',
      shape,
      Int32Array.from(all, ({ row }) => row),
    ),
    label: { dtype: 'string', shape, strings: all.map(({ label }) => labelOf(labels, label)) },
    score: tensorOf(
      'float32',
      shape,
      Float32Array.from(all, ({ score }) => score),
    ),
    box: tensorOf(
      'float32',
      [all.length, 4],
      Float32Array.from(all.flatMap(({ xmin, ymin, xmax, ymax }) => [xmin, ymin, xmax, ymax])),
    ),
  }
}

function scaled(box: Box, x: number, y: number): Box {
  return { ...box, xmin: box.xmin * x, ymin: box.ymin * y, xmax: box.xmax * x, ymax: box.ymax * y }
}

/** Boxes may reach over the picture's edge; their visible part counts. */
function within(box: Box, { width, height }: Picture): Box {
  const clip = (value: number, most: number) => Math.min(Math.max(value, 0), most)
  return {
    ...box,
    xmin: clip(box.xmin, width),
    ymin: clip(box.ymin, height),
    xmax: clip(box.xmax, width),
    ymax: clip(box.ymax, height),
  }
}

async function stridesOf(reader: Parameters<typeof readJson>[0]): Promise<readonly number[]> {
  const strides = (await readJson(reader, 'config.json'))?.strides
  const isList =
    Array.isArray(strides) && strides.length > 0 && strides.every((one) => Number.isInteger(one) && one > 0)
  return isList ? strides : yoloxStrides
}

function requireGrids({ outputs }: OrtSession, detect: Detect): Detect {
  const [only, ...others] = outputs
  if (only && others.length === 0 && only.shape.length === 3) return detect
  const names = outputs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`).join(', ')
  throw modelFailed(
    `The graph gives ${names}; a detector gives "logits" and "pred_boxes", or one output of rows [x, y, width, height, objectness, classes…].`,
  )
}

/** DETR's `pixel_mask`: ones, since every picture runs alone. */
function requireMask({ name, dtype, shape }: Port): void {
  if (name === 'pixel_mask' && dtype === 'int64' && shape.length === 3) return
  throw modelFailed(
    `The graph needs an input "${name}", which a picture does not tell; import it with the task "tensor".`,
  )
}

function sizeOf({ shape }: Port, axis: number): number | undefined {
  const size = shape[axis]
  return typeof size === 'number' ? size : undefined
}
