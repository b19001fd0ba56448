/**
 * The heap of a ready session as bytes, so that the next instance starts with a copy instead of initialising ONNX Runtime, reading
 * the model and optimising its graph.
 *
 * What makes it exact: the heap is a deterministic machine's whole memory. Everything that is not in it is either equal by
 * construction in another instance of the same wasm (tables, code), or is compared (the stack pointer, a wasm global), or is in the
 * header (the handles that JavaScript holds). So a snapshot belongs to one wasm, one model and one set of options, is taken before any
 * run, and no call into ORT may happen before it is restored.
 *
 * Layout: u32 length of the header, the header as JSON, then the bytes of its extents one after the other. Zeros are not stored:
 * memory is zero where nobody wrote, and pages that are never written cost no memory.
 */
import { dataLoss } from '#contracts/errors.ts'
import { bootOrt } from './boot.ts'
import { ByteSource } from './byte-source.ts'
import type { Ort } from './instance.ts'
import type { Port } from './ports.ts'
import { type OrtFactory, ortVersion, type Pointer } from './private-exports.ts'
import { OrtSession } from './session.ts'
import { snapshotFormat } from './session-options.ts'

interface Header {
  format: number
  ort: string
  /** What the session is, in the words of whoever took the snapshot. */
  identity: string
  memoryBytes: number
  stack: number
  handle: Pointer
  inputs: readonly Port[]
  outputs: readonly Port[]
  unusable: readonly (readonly [string, string])[]
  pointers: readonly Pointer[]
  modelBytes: number
  keptBlock: Pointer
  /** Offset and length of what is not zero, in order. */
  extents: readonly Extent[]
  /** What starting an instance writes where the snapshot has zeros. */
  cleared: readonly Extent[]
}

type Extent = readonly [offset: number, sizeBytes: number]

export interface Snapshot {
  sizeBytes: number
  /** Memory of the instance, zeros included. */
  memoryBytes: number
  /** Private copies of the bytes, in order; valid until the heap changes. */
  chunks(): Generator<Uint8Array<ArrayBuffer>>
}

/** Why a snapshot is not used: nothing is wrong with the model, which is loaded in the ordinary way then. */
export class SnapshotUnusable extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = 'SnapshotUnusable'
  }
}

const granuleBytes = 16 * 1024
const chunkBytes = 256 * 1024

export interface TakeOptions {
  /** What the session is. */
  identity: string
  /** Another instance of the same module, started and not initialised: what a restore will find in its memory. */
  started: Ort
}

/** The heap of a session that has been created and never run. Free memory is cleared, so that it holds no leftovers of loading. */
export function takeSnapshot(session: OrtSession, { identity, started }: TakeOptions): Snapshot {
  const { ort, state } = session
  clearFreeMemory(ort)
  const used = usedGranules(ort.memory)
  const extents = extentsOf(used)
  const touched = usedGranules(started.memory)
  const { inputs, outputs, unusable, pointers } = state.ports
  const header: Header = {
    format: snapshotFormat,
    ort: ortVersion,
    identity,
    memoryBytes: ort.heapBytes,
    stack: ort.module.stackSave(),
    handle: state.handle,
    inputs,
    outputs,
    unusable: [...unusable],
    pointers,
    modelBytes: state.modelBytes,
    keptBlock: state.keptBlock,
    extents,
    cleared: extentsOf(touched.map((isTouched, at) => isTouched && !used[at])),
  }
  const head = headBytes(header)
  return {
    sizeBytes: extents.reduce((total, [, sizeBytes]) => total + sizeBytes, head.byteLength),
    memoryBytes: header.memoryBytes,
    *chunks() {
      yield head
      for (const [offset, sizeBytes] of extents) {
        for (let at = offset; at < offset + sizeBytes; at += chunkBytes) {
          yield new Uint8Array(ort.view(at, Math.min(chunkBytes, offset + sizeBytes - at)))
        }
      }
    },
  }
}

export interface RestoreOptions {
  /** Must be what the snapshot was taken with. */
  identity: string
  heapLimitBytes?: number
}

/**
 * Resolves to a session in a new instance whose heap is the snapshot's.
 *
 * @throws {SnapshotUnusable} where it is of another build, session or memory limit; final for this snapshot.
 * @throws {ServingError} DATA_LOSS where the stream is not as long as it says; what the stream threw comes through.
 */
export async function restoreSnapshot(
  factory: OrtFactory,
  wasmModule: WebAssembly.Module,
  stream: ReadableStream<Uint8Array>,
  { identity, heapLimitBytes = Number.POSITIVE_INFINITY }: RestoreOptions,
): Promise<OrtSession> {
  const source = new ByteSource(stream)
  try {
    const header = await readHeader(source, identity)
    if (header.memoryBytes > heapLimitBytes)
      throw new SnapshotUnusable(`its heap of ${header.memoryBytes} bytes is more than the limit of ${heapLimitBytes}`)
    const ort = await bootOrt(factory, wasmModule, { init: false })
    ort.heapLimitBytes = heapLimitBytes
    if (ort.module.stackSave() !== header.stack)
      throw new SnapshotUnusable('its stack pointer is that of another build')
    for (const [offset, sizeBytes] of header.cleared) ort.view(offset, sizeBytes).fill(0)
    ort.growTo(header.memoryBytes)
    for (const [offset, sizeBytes] of header.extents) {
      await source.read(sizeBytes, (chunk, at) => ort.view(offset + at, chunk.byteLength).set(chunk))
    }
    if (!(await source.isAtEnd())) throw dataLoss('The snapshot is longer than it says.')
    const { inputs, outputs, pointers, handle, modelBytes, keptBlock } = header
    const ports = { inputs, outputs, unusable: new Map(header.unusable), pointers }
    return new OrtSession(ort, handle, ports, modelBytes, keptBlock)
  } finally {
    await source.close()
  }
}

function headBytes(header: Header): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const head = new Uint8Array(4 + json.byteLength)
  new DataView(head.buffer).setUint32(0, json.byteLength, true)
  head.set(json, 4)
  return head
}

async function readHeader(source: ByteSource, identity: string): Promise<Header> {
  const sizeBytes = new DataView((await source.bytes(4)).buffer).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(await source.bytes(sizeBytes))) as Header
  if (header.format !== snapshotFormat)
    throw new SnapshotUnusable(`its format is ${header.format}, this build reads ${snapshotFormat}`)
  if (header.ort !== ortVersion)
    throw new SnapshotUnusable(`it is of ONNX Runtime ${header.ort}, this is ${ortVersion}`)
  if (header.identity !== identity) throw new SnapshotUnusable(`it is of ${header.identity}, not of ${identity}`)
  return header
}

/**
 * Takes whatever free memory there is without growing, largest blocks first, zeroes it and gives it back. An `.onnx` model leaves a
 * multiple of its size behind in free memory.
 */
function clearFreeMemory(ort: Ort): void {
  const limitBytes = ort.heapLimitBytes
  ort.heapLimitBytes = ort.heapBytes
  const blocks: Pointer[] = []
  for (let sizeBytes = 2 ** Math.floor(Math.log2(ort.heapBytes)); sizeBytes >= granuleBytes; sizeBytes /= 2) {
    for (;;) {
      const block = ort.module._malloc(sizeBytes) >>> 0
      if (block === 0) break
      ort.view(block, sizeBytes).fill(0)
      blocks.push(block)
    }
  }
  for (const block of blocks.reverse()) ort.free(block)
  ort.heapLimitBytes = limitBytes
  ort.refusedBytes = 0
}

/** Which pieces of memory hold anything but zeros. */
function usedGranules(memory: WebAssembly.Memory): boolean[] {
  const words = new Uint32Array(memory.buffer)
  const step = granuleBytes / 4
  return Array.from({ length: words.length / step }, (_, granule) => {
    const end = (granule + 1) * step
    for (let at = granule * step; at < end; at++) if (words[at] !== 0) return true
    return false
  })
}

function extentsOf(granules: readonly boolean[]): Extent[] {
  const extents: [number, number][] = []
  for (const [granule, isUsed] of granules.entries()) {
    if (!isUsed) continue
    const last = extents.at(-1)
    if (last && last[0] + last[1] === granule * granuleBytes) last[1] += granuleBytes
    else extents.push([granule * granuleBytes, granuleBytes])
  }
  return extents
}
