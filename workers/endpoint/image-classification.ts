import { imageClassificationTask } from '#src/engine/tasks/image-classification.ts'
import jpegWasm from './jpeg.wasm'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(imageClassificationTask, { jpeg: jpegWasm })
export default {}
