/** Float weights to int8 with one scale per row or per column: symmetric, so that no zero point is needed. */

export interface Int8Weights {
  values: Int8Array
  /** What to multiply a row, or a column, by. */
  scales: Float32Array
}

/** Keeps an all-zero row from dividing by zero. */
const tiny = 1e-12

/** Of a matrix `[rows, columns]`, one scale per row. */
export function int8Rows(matrix: Float32Array, columns: number): Int8Weights {
  const rows = matrix.length / columns
  const scales = new Float32Array(rows)
  const values = new Int8Array(matrix.length)
  for (let row = 0; row < rows; row++) {
    const start = row * columns
    let top = 0
    for (let at = start; at < start + columns; at++) top = Math.max(top, Math.abs(matrix[at]!))
    const scale = Math.fround(top / 127 + tiny)
    scales[row] = scale
    for (let at = start; at < start + columns; at++) values[at] = nearest(matrix[at]! / scale)
  }
  return { values, scales }
}

/** Of a matrix `[rows, columns]`, one scale per column. */
export function int8Columns(matrix: Float32Array, columns: number): Int8Weights {
  const tops = new Float32Array(columns)
  for (let at = 0, column = 0; at < matrix.length; at++, column = column + 1 === columns ? 0 : column + 1) {
    const size = Math.abs(matrix[at]!)
    if (size > tops[column]!) tops[column] = size
  }
  const scales = tops.map((top) => top / 127 + tiny)
  const values = new Int8Array(matrix.length)
  for (let at = 0, column = 0; at < matrix.length; at++, column = column + 1 === columns ? 0 : column + 1)
    values[at] = nearest(matrix[at]! / scales[column]!)
  return { values, scales }
}

/** A matrix `[rows, columns]` as `[columns, rows]`. */
export function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns
  const turned = new Float32Array(matrix.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[column * rows + row] = matrix[row * columns + column]!
  return turned
}

function nearest(value: number): number {
  return Math.max(-127, Math.min(127, Math.round(value)))
}
