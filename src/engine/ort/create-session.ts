/**
 * A session over a model file that is in the heap already. An `.ort` file's weights are used where they lie, so that its block
 * lives as long as the session; an `.onnx` file is only read once and its block is given back.
 */
import type { Ort } from './instance.ts'
import { readPorts } from './ports.ts'
import type { Pointer } from './private-exports.ts'
import { OrtSession } from './session.ts'
import type { SessionOptions } from './session-options.ts'

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
 * Creates a session and takes over the block, also when it fails. `externalBytes` are of weights in files beside the model's.
 *
 * @throws {OrtError} what ORT says of a model that it cannot load.
 */
export function createSession(
  ort: Ort,
  model: ModelBlock,
  options: SessionOptions = {},
  externalBytes = 0,
): OrtSession {
  const { inPlace = false } = options
  let handle = 0
  try {
    handle = createHandle(ort, model, options)
    const ports = readPorts(ort, handle)
    return new OrtSession(ort, handle, ports, model.sizeBytes + externalBytes, inPlace ? model.pointer : 0)
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
  const options = ort.call('loading', () =>
    module._OrtCreateSessionOptions(level, false, false, sequential, false, 0, 0, logErrorsOnly, 0, 0),
  )
  if (options === 0) throw ort.lastError('Creating session options')
  try {
    for (const [key, value] of Object.entries({ ...(inPlace ? inPlaceConfig : {}), ...config })) {
      const [keyAt, valueAt] = [ort.newCString(key), ort.newCString(value)]
      texts.push(keyAt, valueAt)
      const status = ort.call('loading', () => module._OrtAddSessionConfigEntry(options, keyAt, valueAt))
      if (status !== 0) throw ort.lastError(`Setting ${key}`)
    }
    const handle = ort.call('loading', () => module._OrtCreateSession(model.pointer, model.sizeBytes, options))
    if (handle === 0) throw ort.lastError('Creating the session')
    return handle
  } finally {
    module._OrtReleaseSessionOptions(options)
    for (const text of texts) ort.free(text)
  }
}
