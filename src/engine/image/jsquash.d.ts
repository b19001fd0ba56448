/** The package's own types for this file lean on a global namespace that it does not ship. */
declare module '@jsquash/jpeg/codec/dec/mozjpeg_dec.js' {
  interface MozjpegSettings {
    noInitialRun: boolean
    print(line: string): void
    printErr(line: string): void
    instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports
  }
  interface MozjpegDecoder {
    decode(bytes: BufferSource, preserveOrientation: boolean): ImageData | null
  }
  export default function createDecoder(settings: MozjpegSettings): Promise<MozjpegDecoder>
}
