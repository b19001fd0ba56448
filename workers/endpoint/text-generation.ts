import { textGenerationTask } from '#src/engine/tasks/text-generation.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(textGenerationTask)
export default {}
