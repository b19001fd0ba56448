/**
 * Reads a digit that was drawn with characters: anything but a space is ink.
 *
 *   node examples/drawn-digit/run.mjs [FILE]
 */
import { readFileSync } from 'node:fs'
import { crc32, deflateSync } from 'node:zlib'
import { predict } from '../glim.mjs'

const file = process.argv[2] ?? new URL('seven.txt', import.meta.url)
const drawing = readFileSync(file, 'utf8').replace(/\n+$/, '').split('\n')
const [prediction] = await predict('digits', [greyPng(pixelsOf(drawing), 28).toString('base64')], { top_k: 3 })
console.log(drawing.join('\n'))
for (const { label, score } of prediction)
  console.log(`${label}  ${'█'.repeat(Math.round(score * 40))} ${(score * 100).toFixed(1)} %`)

/** The drawing scaled into the middle 20 of 28 rows, as the digits of the training data lie, white on black. */
function pixelsOf(lines) {
  const width = Math.max(...lines.map((line) => line.length))
  const scale = 20 / Math.max(lines.length, width / 2)
  const left = (28 - (width / 2) * scale) / 2
  const top = (28 - lines.length * scale) / 2
  return Uint8Array.from({ length: 28 * 28 }, (_, at) => {
    // A character is about twice as high as wide.
    const column = Math.floor((((at % 28) - left) / scale) * 2)
    const row = Math.floor((Math.floor(at / 28) - top) / scale)
    return (lines[row]?.[column] ?? ' ') === ' ' ? 0 : 255
  })
}

function greyPng(pixels, size) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header[8] = 8
  const rows = Array.from({ length: size }, (_, y) => Buffer.from([0, ...pixels.subarray(y * size, (y + 1) * size)]))
  const parts = [
    ['IHDR', header],
    ['IDAT', deflateSync(Buffer.concat(rows))],
    ['IEND', Buffer.alloc(0)],
  ]
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts.map(chunk)])
}

function chunk([type, data]) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}
