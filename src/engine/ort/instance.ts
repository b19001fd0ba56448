/**
 * One running ONNX Runtime: its private calls and its heap.
 *
 * The memory is shared even with one thread, which has two consequences: a view goes stale when memory grows, so views are made
 * anew for each use; and TextDecoder, streams and crypto refuse such views, so bytes are copied before they leave.
 */
import { CallLimit } from './call-limit.ts'
import { OrtError, OrtTrapped } from './error.ts'
import type { OrtModule, Pointer } from './private-exports.ts'

const pageBytes = 65_536

/** One instance of the engine: its calls and its heap. One run at a time. */
export class Ort {
  readonly module: OrtModule
  readonly memory: WebAssembly.Memory
  /** Bounds the time of one call; without limit until somebody sets one. */
  readonly callLimit: CallLimit
  /** Set once a call has trapped; nothing may be called afterwards. */
  trapped: OrtTrapped | undefined
  /** The heap may not grow beyond this. */
  heapLimitBytes = Number.POSITIVE_INFINITY
  /** The least heap that was asked for and refused; 0 while none was. */
  refusedBytes = 0

  constructor(module: OrtModule, memory: WebAssembly.Memory, callLimit = new CallLimit()) {
    this.module = module
    this.memory = memory
    this.callLimit = callLimit
    // The memory's own maximum is fixed by the build at 4 GiB. But the factory's code grows it through this method: first by 20 %
    // beyond the need, when that throws by 10 %, at last by 5 %, and then it lets the allocation fail. So the limit holds exactly
    // with nothing to check afterwards, and refusing the first two offers keeps the heap small.
    let offers = 0
    memory.grow = (pages) => {
      offers = (offers + 1) % 3
      if (offers !== 0) throw new RangeError('a smaller step, please')
      return this.#grow(pages)
    }
  }

  get heapBytes(): number {
    return this.memory.buffer.byteLength
  }

  /** Grows memory to at least this size, exactly; left alone, each step of growth takes some more than it needs. */
  growTo(sizeBytes: number): void {
    const pages = Math.ceil((sizeBytes - this.heapBytes) / pageBytes)
    if (pages > 0) this.#grow(pages)
  }

  #grow(pages: number): number {
    const wantedBytes = this.heapBytes + pages * pageBytes
    if (wantedBytes <= this.heapLimitBytes) return WebAssembly.Memory.prototype.grow.call(this.memory, pages)
    this.refusedBytes = wantedBytes
    throw new RangeError(`The engine's heap may not grow to ${wantedBytes} bytes (limit ${this.heapLimitBytes}).`)
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

  /** Makes a call into ORT that may run out of memory or take too long. @throws {OrtTrapped} */
  call<T>(attempted: string, call: () => T): T {
    if (this.trapped) throw this.trapped
    try {
      return this.callLimit.during(call)
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
