/**
 * One running ONNX Runtime: its private calls and its heap.
 *
 * The memory is shared even with one thread, which has two consequences: a view goes stale when memory grows, so views are made
 * anew for each use; and TextDecoder, streams and crypto refuse such views, so bytes are copied before they leave.
 */
import { OrtError, OrtTrapped } from './error.ts'
import type { OrtModule, Pointer } from './private-exports.ts'

const pageBytes = 65_536

/** One instance of the engine: its calls and its heap. One run at a time. */
export class Ort {
  readonly module: OrtModule
  readonly memory: WebAssembly.Memory
  /** Set once a call has trapped; nothing may be called afterwards. */
  trapped: OrtTrapped | undefined

  constructor(module: OrtModule, memory: WebAssembly.Memory) {
    this.module = module
    this.memory = memory
  }

  get heapBytes(): number {
    return this.memory.buffer.byteLength
  }

  /** Grows memory to at least this size, exactly; left alone, each step of growth takes 20 % more than it needs. */
  growTo(sizeBytes: number): void {
    const pages = Math.ceil((sizeBytes - this.heapBytes) / pageBytes)
    if (pages > 0) this.memory.grow(pages)
  }

  /** @throws {RangeError} where the heap cannot grow any further. */
  malloc(sizeBytes: number): Pointer {
    const pointer = this.module._malloc(Math.max(sizeBytes, 1)) >>> 0
    if (pointer === 0)
      throw new RangeError(`The engine has no memory for ${sizeBytes} more bytes (heap ${this.heapBytes}).`)
    return pointer
  }

  free(pointer: Pointer): void {
    this.module._free(pointer)
  }

  /** A view of the heap that ends to be valid with the next growth. */
  view(pointer: Pointer, sizeBytes: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, pointer, sizeBytes)
  }

  /** Unsigned 32-bit words at an aligned address: pointers, sizes, dimensions. */
  words(pointer: Pointer, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, pointer, count)
  }

  /** A private copy of a zero-terminated UTF-8 string. */
  cString(pointer: Pointer): string {
    const heap = new Uint8Array(this.memory.buffer)
    return decodeText(heap.slice(pointer, heap.indexOf(0, pointer)))
  }

  /** Writes a zero-terminated string to the heap; the caller frees it. */
  newCString(text: string): Pointer {
    const bytes = new TextEncoder().encode(text)
    const pointer = this.malloc(bytes.byteLength + 1)
    const view = this.view(pointer, bytes.byteLength + 1)
    view.set(bytes)
    view[bytes.byteLength] = 0
    return pointer
  }

  /** Runs `use` with scratch memory that is gone afterwards. */
  onStack<T>(sizeBytes: number, use: (pointer: Pointer) => T): T {
    const mark = this.module.stackSave()
    try {
      return use(this.module.stackAlloc(sizeBytes) >>> 0)
    } finally {
      this.module.stackRestore(mark)
    }
  }

  /** The error of the call that has just failed; must be read before any other call. */
  lastError(attempted: string): OrtError {
    const { code, text } = this.onStack(8, (at) => {
      this.module._OrtGetLastError(at, at + 4)
      const [code = 0, message = 0] = this.words(at, 2)
      return { code, text: message === 0 ? '' : this.cString(message) }
    })
    return new OrtError(code, text === '' ? `${attempted} failed without a message.` : text)
  }

  /** Makes a call into ORT that may run out of memory. @throws {OrtTrapped} */
  call<T>(attempted: string, call: () => T): T {
    if (this.trapped) throw this.trapped
    try {
      return call()
    } catch (cause) {
      this.trapped = new OrtTrapped(attempted, cause)
      throw this.trapped
    }
  }
}

/** Decodes text that a graph made: not necessarily valid UTF-8, and a leading byte-order mark belongs to it. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
