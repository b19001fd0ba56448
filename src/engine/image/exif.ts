/** The orientation in a block of EXIF data, which is a TIFF directory in either byte order. */
const orientationTag = 0x0112
const entryBytes = 12

/** Reads the orientation, 1 to 8; 1 where there is none or the block makes no sense. */
export function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength)
  if (tiff.byteLength < 8) return 1
  const littleEndian = view.getUint16(0) === 0x4949
  const directory = view.getUint32(4, littleEndian)
  if (directory + 2 > tiff.byteLength) return 1
  const entries = view.getUint16(directory, littleEndian)
  for (let entry = 0; entry < entries; entry++) {
    const at = directory + 2 + entry * entryBytes
    if (at + entryBytes > tiff.byteLength) return 1
    if (view.getUint16(at, littleEndian) !== orientationTag) continue
    const value = view.getUint16(at + 8, littleEndian)
    return value >= 1 && value <= 8 ? value : 1
  }
  return 1
}
