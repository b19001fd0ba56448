import { featureExtractionTask } from '#src/engine/tasks/feature-extraction.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(featureExtractionTask)
export default {}
