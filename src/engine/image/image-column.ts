/** The column `image` of a request, and its pictures one by one. */
import { badRequest, invalidParameter, isServingError } from '#contracts/errors.ts'
import type { NamedTensors } from '#contracts/tensor.ts'
import { decodePicture } from './decode-picture.ts'
import type { Picture } from './picture.ts'

/** @throws {ServingError} 400 where the column is missing or holds something else. */
export function imageColumn(inputs: NamedTensors): readonly Uint8Array[] {
  const column = inputs.image
  if (!column) throw invalidParameter('image', 'this column is required')
  if (column.dtype !== 'binary') throw invalidParameter('image', `pictures are expected, ${column.dtype} came`)
  return column.items
}

/** @throws {ServingError} 400 that names the row and says what is wrong with its picture. */
export async function decodeRow(
  bytes: Uint8Array,
  row: number,
  jpeg: WebAssembly.Module | undefined,
): Promise<Picture> {
  try {
    return await decodePicture(bytes, { jpeg })
  } catch (error) {
    if (!isServingError(error)) throw error
    throw badRequest(`image[${row}]: ${error.message}`, `image[${row}]`)
  }
}
