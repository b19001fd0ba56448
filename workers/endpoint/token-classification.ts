import { tokenClassificationTask } from '#src/engine/tasks/token-classification.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(tokenClassificationTask)
export default {}
