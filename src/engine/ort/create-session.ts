/**
 * A session over a model file that is in the heap already. An `.ort` file's weights are used where they lie, so that its block
 * lives as long as the session; an `.onnx` file is only read once and its block is given back.
 */
import type { Ort } from './instance.ts'
import { readPorts } from './ports.ts'
import type { Pointer } from './private-exports.ts'
import { OrtSession } from './session.ts'

export interface SessionOptions {
  /** Graph optimisation: 0 none, 1 basic, 2 extended, 99 all. */
  level?: 0 | 1 | 2 | 99
  /** ORT's session configuration entries, by key. */
  config?: Readonly<Record<string, string>>
  /** Uses an `.ort` file's weights where they lie, and keeps its block. */
  inPlace?: boolean
}

/** A block of the heap that holds a model file. */
export interface ModelBlock {
  readonly pointer: Pointer
  readonly sizeBytes: number
}

const inPlaceConfig = {
  'session.use_ort_model_bytes_directly': '1',
  'session.use_ort_model_bytes_for_initializers': '1',
}

/**
 * Creates a session and takes over the block, also when it fails.
 *
 * @throws {OrtError} what ORT says of a model that it cannot load.
 */
export function createSession(ort: Ort, model: ModelBlock, options: SessionOptions = {}): OrtSession {
  const { inPlace = false } = options
  let handle = 0
  try {
    handle = createHandle(ort, model, options)
    const ports = readPorts(ort, handle)
    return new OrtSession(ort, handle, ports, model.sizeBytes, inPlace ? model.pointer : 0)
  } catch (error) {
    if (handle !== 0) ort.module._OrtReleaseSession(handle)
    if (inPlace) ort.free(model.pointer)
    throw error
  } finally {
    if (!inPlace) ort.free(model.pointer)
  }
}

function createHandle(ort: Ort, model: ModelBlock, { level = 99, config = {}, inPlace }: SessionOptions): Pointer {
  const { module } = ort
  const texts: Pointer[] = []
  const sequential = 0
  const logErrorsOnly = 3
  const options = module._OrtCreateSessionOptions(level, false, false, sequential, false, 0, 0, logErrorsOnly, 0, 0)
  if (options === 0) throw ort.lastError('Creating session options')
  try {
    for (const [key, value] of Object.entries({ ...(inPlace ? inPlaceConfig : {}), ...config })) {
      const [keyAt, valueAt] = [ort.newCString(key), ort.newCString(value)]
      texts.push(keyAt, valueAt)
      if (module._OrtAddSessionConfigEntry(options, keyAt, valueAt) !== 0) throw ort.lastError(`Setting ${key}`)
    }
    const handle = ort.call('loading', () => module._OrtCreateSession(model.pointer, model.sizeBytes, options))
    if (handle === 0) throw ort.lastError('Creating the session')
    return handle
  } finally {
    module._OrtReleaseSessionOptions(options)
    for (const text of texts) ort.free(text)
  }
}
