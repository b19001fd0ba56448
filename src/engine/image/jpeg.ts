/**
 * JPEG to RGB by mozjpeg's decoder, compiled to WebAssembly: the same arithmetic as the libjpeg-turbo in Pillow, so the same
 * pixels. It starts from a precompiled Module, since Workers compile nothing at run time.
 *
 * Every picture gets an instance of its own: a fatal error leaves the old one unusable, and memory that has grown for one large
 * picture would never shrink.
 */
import createDecoder from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js'
import { badPicture, type Picture } from './picture.ts'

/** libjpeg warns and goes on with grey where the data run out; a picture half grey is no picture. */
const harmless = /extraneous bytes before marker/

export async function decodeJpeg(bytes: Uint8Array, wasm: WebAssembly.Module): Promise<Picture> {
  const warnings: string[] = []
  installImageData()
  const decoder = await createDecoder({
    noInitialRun: true,
    print: (line) => warnings.push(line),
    printErr: (line) => warnings.push(line),
    instantiateWasm(imports, done) {
      const instance = new WebAssembly.Instance(wasm, imports)
      done(instance)
      return instance.exports
    },
  })
  let image: ImageData | null
  try {
    image = decoder.decode(bytes as BufferSource, false)
  } catch {
    image = null
  }
  const problem = warnings.find((warning) => !harmless.test(warning))
  if (!image || problem) throw badPicture(`the JPEG file is corrupt${problem ? ` (${problem.trim()})` : ''}.`)
  return { width: image.width, height: image.height, rgb: withoutAlpha(image.data) }
}

function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3)
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from]!
    rgb[to++] = rgba[from + 1]!
    rgb[to++] = rgba[from + 2]!
  }
  return rgb
}

/** The decoder returns an `ImageData`, which only browsers have. */
function installImageData(): void {
  const scope = globalThis as { ImageData?: unknown }
  scope.ImageData ??= class {
    readonly data: Uint8ClampedArray
    readonly width: number
    readonly height: number

    constructor(data: Uint8ClampedArray, width: number, height: number) {
      this.data = data
      this.width = width
      this.height = height
    }
  }
}
