import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { decodePicture } from '#src/engine/image/decode-picture.ts'
import type { Picture } from '#src/engine/image/picture.ts'
import { layoutOf, pixelsOf } from '#src/engine/image/pixel-input.ts'
import { readPreprocessor } from '#src/engine/image/preprocessor.ts'
import { type Resample, resize } from '#src/engine/image/resize.ts'
import { jpegWasm } from '../support/node-ort.ts'
import { memoryReader, sharedModelPath } from '../support/shared-models.ts'

interface Expected {
  decoded: Record<string, { width: number; height: number; rgb: string }>
  resized: { name: string; resample: Resample; width: number; height: number; rgb: string }[]
  luma: string
}

const folder = fileURLToPath(new URL('../fixtures/pictures/', import.meta.url))
const bytesOf = (name: string) => new Uint8Array(readFileSync(`${folder}${name}`))
/** What Pillow reads in these files; see `make_fixtures.py` beside them. */
const expected = JSON.parse(readFileSync(`${folder}expected.json`, 'utf8')) as Expected
const fromBase64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
const pictureOf = ({ width, height, rgb }: { width: number; height: number; rgb: string }): Picture => ({
  width,
  height,
  rgb: fromBase64(rgb),
})

let jpeg: WebAssembly.Module
beforeAll(async () => {
  jpeg = await jpegWasm()
})
const decode = (bytes: Uint8Array) => decodePicture(bytes, { jpeg })

describe('decoding', () => {
  // Pillow clips 16-bit grey to 255 instead of scaling it, which leaves a white picture; every other reader scales.
  const names = Object.keys(expected.decoded).filter((name) => name !== 'grey-16-bits.png')

  it('16-bit grey is scaled to 8 bits', async () => {
    expect(await decode(bytesOf('grey-16-bits.png'))).toEqual(await decode(bytesOf('grey.png')))
  })

  it.each(names)('%s gives the pixels that Pillow gives', async (name) => {
    expect(await decode(bytesOf(name))).toEqual(pictureOf(expected.decoded[name]!))
  })

  it('photographs have the same pixels as the reference pictures of the shared models', async ({ skip }) => {
    if (!existsSync(sharedModelPath('squeezenet', 'sample.png'))) skip('needs the shared models')
    const kitten = await decode(new Uint8Array(readFileSync(sharedModelPath('squeezenet', 'sample.png'))))
    expect([kitten.width, kitten.height]).toEqual([224, 224])
    expect(Buffer.from(kitten.rgb).equals(readFileSync(sharedModelPath('squeezenet', 'sample.rgb.bin')))).toBe(true)
  })
})

describe('refusals', () => {
  const rgb = bytesOf('rgb.png')
  const cut = (bytes: Uint8Array, length: number) => bytes.slice(0, length)
  const changed = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 0x55 : byte))

  it.each([
    ['a GIF', bytesOf('picture.gif'), 'it is a GIF picture; PNG and JPEG are accepted'],
    ['a WebP', bytesOf('picture.webp'), 'it is a WebP picture; PNG and JPEG are accepted'],
    ['a BMP', bytesOf('picture.bmp'), 'it is a BMP picture'],
    ['text', new TextEncoder().encode('hello'), 'its format is unknown'],
    ['nothing', new Uint8Array(0), 'it is empty'],
    ['a CMYK picture', bytesOf('cmyk.jpg'), 'CMYK'],
    ['half a PNG file', cut(rgb, rgb.length >> 1), 'truncated'],
    ['a PNG file without its end', cut(rgb, rgb.length - 12), 'truncated'],
    ['a PNG signature alone', cut(rgb, 8), 'truncated'],
    ['a PNG file with a flipped bit', changed(rgb, rgb.length - 30), 'corrupt in its IDAT chunk'],
    ['half a JPEG file', cut(bytesOf('baseline.jpg'), 700), 'truncated'],
    ['half a progressive JPEG file', cut(bytesOf('progressive.jpg'), 500), 'truncated'],
    ['the beginning of a JPEG file', cut(bytesOf('baseline.jpg'), 4), 'truncated'],
  ])('%s is refused with the reason', async (_, bytes, reason) => {
    await expect(decode(bytes)).rejects.toMatchObject({ status: 400, message: expect.stringContaining(reason) })
  })

  it('a JPEG file whose data end before its last row is refused', async () => {
    const whole = bytesOf('baseline.jpg')
    const early = new Uint8Array([...whole.slice(0, 760), 0xff, 0xd9])
    await expect(decode(early)).rejects.toMatchObject({ status: 400, message: expect.stringContaining('corrupt') })
  })

  it('a picture with too many pixels is refused from its header', async () => {
    const huge = bytesOf('baseline.jpg')
    const frame = huge.findIndex((byte, index) => byte === 0xff && huge[index + 1] === 0xc0)
    huge.set([0xff, 0xff, 0xff, 0xff], frame + 5)
    await expect(decode(huge)).rejects.toThrow('65535 × 65535 pixels; at most 50000000 are accepted')
  })

  it('a broken picture does not harm the next one', async () => {
    const broken = changed(bytesOf('baseline.jpg'), 640)
    await decode(broken).catch(() => undefined)
    expect(await decode(bytesOf('baseline.jpg'))).toEqual(pictureOf(expected.decoded['baseline.jpg']!))
  })

  it('a PNG file that unpacks to more than its size says is cut there', async () => {
    const { deflateSync, crc32 } = await import('node:zlib')
    const chunk = (type: string, data: Uint8Array) => {
      const body = Buffer.concat([Buffer.from(type), data])
      const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)]
      length.writeUInt32BE(data.length)
      crc.writeUInt32BE(crc32(body))
      return Buffer.concat([length, body, crc])
    }
    const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])
    const bomb = deflateSync(Buffer.alloc(200_000_000))
    const file = Buffer.concat([
      rgb.slice(0, 8),
      chunk('IHDR', header),
      chunk('IDAT', bomb),
      chunk('IEND', new Uint8Array(0)),
    ])
    const before = process.memoryUsage().arrayBuffers
    expect(await decode(new Uint8Array(file))).toEqual({ width: 1, height: 1, rgb: new Uint8Array(3) })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000)
  })
})

describe('resizing', () => {
  it.each(expected.resized.map((one) => [one.name, one.resample, `${one.width}×${one.height}`, one] as const))(
    '%s with filter %i to %s gives the pixels that Pillow gives',
    async (name, resample, _, one) => {
      expect(resize(await decode(bytesOf(name)), one.width, one.height, resample)).toEqual(pictureOf(one))
    },
  )
})

describe('preprocessing', () => {
  const port = (shape: readonly (number | string)[]) =>
    ({ name: 'pixels', dtype: 'float32', shape, pointer: 0 }) as const
  const preprocessor = (config?: object) =>
    readPreprocessor(memoryReader(config ? { 'preprocessor_config.json': JSON.stringify(config) } : {}))
  const noise = () => decode(bytesOf('noise.png'))

  it('a grey input gets the luma that Pillow computes, unscaled without a configuration', async () => {
    const { shape, values } = pixelsOf(await noise(), await preprocessor(), layoutOf(port([1, 1, 17, 23])))
    expect(shape).toEqual([1, 17, 23])
    expect(values).toEqual(Float32Array.from(fromBase64(expected.luma)))
  })

  it('channels come first or last, in RGB or BGR order, as graph and configuration say', async () => {
    const picture: Picture = { width: 2, height: 1, rgb: Uint8Array.of(1, 2, 3, 4, 5, 6) }
    const config = { do_resize: false, do_rescale: false, do_normalize: false }
    const rgb = await preprocessor(config)
    const bgr = await preprocessor({ ...config, channel_order: 'BGR' })
    const [first, last] = [layoutOf(port(['n', 3, 'h', 'w'])), layoutOf(port(['n', 1, 2, 3]))]
    expect([...pixelsOf(picture, rgb, first).values]).toEqual([1, 4, 2, 5, 3, 6])
    expect([...pixelsOf(picture, bgr, first).values]).toEqual([3, 6, 2, 5, 1, 4])
    expect(layoutOf(port(['n', 224, 224, 3])).channelsLast).toBe(true)
    expect([
      ...pixelsOf(picture, rgb, { ...last, channelsLast: true, channels: 3, height: 1, width: 2 }).values,
    ]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('a short edge is resized, the middle cut out, and each channel normalised in float32', async () => {
    const config = {
      size: { shortest_edge: 10 },
      do_center_crop: true,
      crop_size: 8,
      image_mean: [0.5, 0.4, 0.3],
      image_std: [0.2, 0.3, 0.4],
    }
    const { shape, values } = pixelsOf(await noise(), await preprocessor(config), layoutOf(port(['n', 3, 'h', 'w'])))
    expect(shape).toEqual([3, 8, 8])
    const small = resize(await noise(), 13, 10, 2)
    const byte = small.rgb[3 * (1 * 13 + 2)]!
    expect(values[0]).toBe(Math.fround(Math.fround(Math.fround(byte / 255) - Math.fround(0.5)) / Math.fround(0.2)))
  })

  it('a crop larger than the picture is filled with black around it', async () => {
    const config = {
      do_resize: false,
      do_center_crop: true,
      crop_size: { width: 4, height: 3 },
      do_rescale: false,
      do_normalize: false,
    }
    const picture: Picture = { width: 2, height: 1, rgb: Uint8Array.of(9, 9, 9, 8, 8, 8) }
    const { values } = pixelsOf(picture, await preprocessor(config), layoutOf(port([1, 1, 3, 4])))
    expect([...values]).toEqual([0, 0, 0, 0, 0, 9, 8, 0, 0, 0, 0, 0])
  })

  it('a configuration that asks for something unknown is refused by its key', async () => {
    await expect(preprocessor({ resample: 9 })).rejects.toThrow('a resample that glim does not know: 9')
    await expect(preprocessor({ size: { longest_edge: 5 } })).rejects.toThrow('a size that glim does not know')
    await expect(preprocessor({ image_mean: ['a'] })).rejects.toThrow('image_mean')
  })
})
