import { voiceActivityTask } from '#src/engine/tasks/voice-activity.ts'
import { endpointClass } from './serve-task.ts'

export const Endpoint = endpointClass(voiceActivityTask)
export default {}
