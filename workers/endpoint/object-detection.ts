import { objectDetectionTask } from '#src/engine/tasks/object-detection.ts'
import jpegWasm from './jpeg.wasm'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(objectDetectionTask, { jpeg: jpegWasm })
export default {}
