import { tensorTask } from '#src/engine/tasks/tensor.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(tensorTask)
export default {}
