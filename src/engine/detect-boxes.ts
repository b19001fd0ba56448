/**
 * From a detector's numbers to boxes. Two families: YOLOX gives a row per cell of three grids, with many boxes for one object, of
 * which the best is kept; DETR and its kin give a fixed number of boxes, of which each stands for itself.
 */
import { modelFailed } from '#contracts/errors.ts'

export interface Box {
  /** Class index. */
  label: number
  score: number
  /** In units of the graph's input for YOLOX, in parts of the picture for DETR. */
  xmin: number
  ymin: number
  xmax: number
  ymax: number
}

/** Where the cells of a YOLOX head lie: finest grid first, row by row. */
export interface GridOptions {
  width: number
  height: number
  strides: readonly number[]
  threshold: number
  overlap: number
}

/** Rows of `[dx, dy, log width, log height, objectness, classes…]`, the last ones probabilities already. */
export function boxesOfGrids(
  values: Float32Array,
  rowSize: number,
  { width, height, strides, threshold, overlap }: GridOptions,
): Box[] {
  const cells = strides.map((stride) => Math.floor(width / stride) * Math.floor(height / stride))
  const expected = cells.reduce((sum, count) => sum + count, 0)
  if (values.length !== expected * rowSize || rowSize < 6) {
    throw modelFailed(
      `The graph gives ${values.length / rowSize} rows of ${rowSize} numbers; the grids of a ${width} × ${height} picture have ${expected}.`,
    )
  }
  const boxes: Box[] = []
  let at = 0
  for (const stride of strides) {
    const columns = Math.floor(width / stride)
    const count = columns * Math.floor(height / stride)
    for (let cell = 0; cell < count; cell++, at += rowSize) {
      const { label, score: likelihood } = bestClass(values, at + 5, at + rowSize)
      const score = Math.fround(values[at + 4]! * likelihood)
      if (score < threshold) continue
      const x = (values[at]! + (cell % columns)) * stride
      const y = (values[at + 1]! + Math.floor(cell / columns)) * stride
      const [halfWidth, halfHeight] = [
        (Math.exp(values[at + 2]!) * stride) / 2,
        (Math.exp(values[at + 3]!) * stride) / 2,
      ]
      boxes.push({ label, score, xmin: x - halfWidth, ymin: y - halfHeight, xmax: x + halfWidth, ymax: y + halfHeight })
    }
  }
  return withoutOverlaps(boxes, overlap)
}

export interface QueryOptions {
  /** Number of classes; a graph that gives one more has "no object" as its last. */
  classes: number
  threshold: number
}

/** Queries with `logits` over the classes and `[centre x, centre y, width, height]` in parts of the picture. */
export function boxesOfQueries(
  logits: Float32Array,
  places: Float32Array,
  { classes, threshold }: QueryOptions,
): Box[] {
  const queries = places.length / 4
  const width = logits.length / queries
  const hasNoObject = classes === 0 || width === classes + 1
  const boxes: Box[] = []
  for (let query = 0; query < queries; query++) {
    const own = logits.subarray(query * width, (query + 1) * width)
    const [x, y, boxWidth, boxHeight] = places.subarray(query * 4, query * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ]
    const place = { xmin: x - boxWidth / 2, ymin: y - boxHeight / 2, xmax: x + boxWidth / 2, ymax: y + boxHeight / 2 }
    const { label, score } = hasNoObject ? bestOfSoftmax(own) : bestOfSigmoid(own)
    if (score >= threshold) boxes.push({ label, score, ...place })
  }
  return boxes.sort(byScore)
}

/** Of boxes of one label that overlap too much only the best stays. */
export function withoutOverlaps(boxes: readonly Box[], overlap: number): Box[] {
  const kept: Box[] = []
  for (const box of [...boxes].sort(byScore)) {
    if (kept.every((better) => better.label !== box.label || overlapOf(better, box) <= overlap)) kept.push(box)
  }
  return kept
}

function byScore(left: Box, right: Box): number {
  return right.score - left.score
}

/** Intersection over union. */
function overlapOf(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin)
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin)
  if (width <= 0 || height <= 0) return 0
  const areaOf = (box: Box) => (box.xmax - box.xmin) * (box.ymax - box.ymin)
  return (width * height) / (areaOf(a) + areaOf(b) - width * height)
}

function bestClass(values: Float32Array, from: number, end: number): { label: number; score: number } {
  let best = from
  for (let at = from + 1; at < end; at++) if (values[at]! > values[best]!) best = at
  return { label: best - from, score: values[best]! }
}

function bestOfSoftmax(logits: Float32Array): { label: number; score: number } {
  const highest = logits.reduce((high, value) => Math.max(high, value))
  const total = logits.reduce((sum, value) => sum + Math.exp(value - highest), 0)
  const { label, score } = bestClass(logits, 0, logits.length - 1)
  return { label, score: Math.fround(Math.exp(score - highest) / total) }
}

function bestOfSigmoid(logits: Float32Array): { label: number; score: number } {
  const { label, score } = bestClass(logits, 0, logits.length)
  return { label, score: Math.fround(1 / (1 + Math.exp(-score))) }
}
