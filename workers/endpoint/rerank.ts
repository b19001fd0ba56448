import { rerankTask } from '#src/engine/tasks/rerank.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(rerankTask)
export default {}
