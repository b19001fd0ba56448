import { textClassificationTask } from '#src/engine/tasks/text-classification.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(textClassificationTask)
export default {}
